"""Reading golden vectors and comparing results with them."""

import gzip
import json
import math

RELATIVE_TOLERANCE = 1e-9
NON_FINITE = {"NaN": math.nan, "inf": math.inf, "-inf": -math.inf}


def decoded(value):
    """Turn the spelled-out non-finite floats of a vector into floats."""
    if isinstance(value, str):
        return NON_FINITE.get(value, value)
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if isinstance(value, dict):
        return {key: decoded(item) for key, item in value.items()}
    return value


def lines(path):
    """Yield (line number, object) of a ``.jsonl.gz`` file."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            yield number, decoded(json.loads(line))


def agrees(actual, expected):
    """Whether a result equals a vector: exactly for integers and codes, to 1e-9 for floats."""
    if isinstance(expected, dict):
        return all(key in actual and agrees(actual[key], expected[key]) for key in expected)
    if isinstance(expected, list):
        return len(actual) == len(expected) and all(map(agrees, actual, expected))
    if isinstance(expected, float):
        actual = float(actual)
        if math.isnan(expected) or math.isinf(expected):
            return (math.isnan(actual) and math.isnan(expected)) or actual == expected
        return math.isclose(actual, expected, rel_tol=RELATIVE_TOLERANCE, abs_tol=0.0)
    return actual == expected


def replay(path, start):
    """Replay a controller's vectors.

    Parameters
    ----------
    path : pathlib.Path
        The ``.jsonl.gz`` file.
    start : callable
        Takes the constructor arguments of a trace; returns an object with one method per
        operation, which gives a dict of results. A result may be a function without arguments,
        called only where the vector holds that field.

    Returns
    -------
    int
        Number of calls replayed; at least one.
    """
    calls, subject = 0, None
    for number, record in lines(path):
        if "trace" in record:
            subject = start(record.get("init") or {})
            continue
        actual = getattr(subject, record["op"])(**record["args"])
        for key, expected in record["out"].items():
            assert key in actual, f"{path.name}:{number}: {record['op']} gives no {key!r}"
            value = actual[key]() if callable(actual[key]) else actual[key]
            assert agrees(value, expected), (
                f"{path.name}:{number}: {record['op']}({record['args']}): "
                f"{key} is {value!r}, recorded {expected!r}"
            )
        calls += 1
    assert calls, f"{path.name} holds no calls"
    return calls
