"""The page of measured performance: sampling, worst calls, batches, recordings."""

import json
import time

import numpy as np
import pytest

from bench import commands, document, inputs, sampling, throughput, worst_call
from bench.errors import UsageError
from bench.targets import TARGETS


def test_best_stretches_drop_preemption_and_keep_dear_stretches():
    made = 0

    def timing(loops):
        nonlocal made
        made += 1
        stretch, preempted = (made - 4) % 4, made == 6
        return loops * 1e-6 * (1 + 2 * (stretch == 3)) + 0.02 * preempted

    best = sampling.best_stretches({"a": timing}, repeats=2, stretches=4)["a"]
    assert best == pytest.approx([1000, 1000, 1000, 3000])


def test_samples_are_long_enough_and_divide_the_traffic():
    calls = sampling.calls_for(lambda loops: loops * 0.25e-6)
    assert calls == 2048
    assert inputs.TRAFFIC_LENGTH % sampling._CALLS == 0


needs_counter = pytest.mark.skipif(not worst_call.available(), reason="no cycle counter")


@needs_counter
def test_cycle_counter_is_calibrated():
    rate = worst_call.cycles_per_nanosecond(0.01)
    first, begun = worst_call.cycles_now(), time.perf_counter_ns()
    time.sleep(0.02)
    last, ended = worst_call.cycles_now(), time.perf_counter_ns()
    assert (last - first) / rate == pytest.approx(ended - begun, rel=0.1)


@needs_counter
def test_single_calls_add_up_to_less_than_the_whole():
    states = worst_call.jit.new_state(1)
    cycles = np.zeros((2, 600), np.int64)
    worst_call.timed_calls(states, 1, inputs.traffic(), True, True, *cycles)
    before = int(states["decisions"][0])
    begun = worst_call.cycles_now()
    worst_call.timed_calls(states, 1, inputs.traffic(), True, True, *cycles)
    whole = worst_call.cycles_now() - begun
    assert 0.2 * whole < cycles.sum() < whole
    assert int(states["decisions"][0]) == before + 600


@needs_counter
def test_worst_calls_of_a_stream():
    decide, observe = worst_call.measure(calls=500, replays=2, streams=["mixed traffic"])[2:]
    assert (decide.call, observe.call, decide.mode) == ("decide", "observe", "hardened")
    for each in (decide, observe):
        assert 0 < each.median_ns <= each.p999_ns <= each.maximum_ns
    alone = worst_call.durations("decide alone", "strict", calls=50, replays=1)
    assert alone.observe_ns is None
    assert len(alone.decide_ns) == 50


def test_loop_by_hand_makes_the_calls_of_the_replay():
    level = inputs.safety_level("hardened")
    events = throughput._events(level, 400)
    kernel = throughput.RuntimeMathKernel(level)
    states = throughput.jit.new_state(level)
    kernel.replay(events)
    throughput.pairs_loop(states, events)
    assert states.tobytes() == kernel.states.tobytes()


def test_tables_of_batches():
    replays, ensembles = throughput.measure(1, events=200, kernels=3, events_per_kernel=20)
    assert [each.mode for each in replays] == ["strict", "hardened"]
    assert all(each.replay_ns > 0 and each.loop_ns > 0 for each in replays)
    assert len(list(throughput.replay_rows(replays))) == 3
    table = list(throughput.ensemble_rows([throughput.Ensemble("strict", 3.0, 2.0)]))
    assert table[1] == ("strict", "3.00", "2.00", "1.50")
    assert all(each.two_threads > 0 for each in ensembles)


@pytest.fixture
def profiles(tmp_path):
    """Recordings of all targets, as far as the page reads them."""
    for place, target in enumerate(TARGETS):
        folder = tmp_path / target.replace("/", "-")
        folder.mkdir()
        (folder / "meta.json").write_text(json.dumps({"id": target}))
        rows = [
            {"symbol": f"f{place}_{rank}", "share": 0.1, "low": 0.05, "high": 0.2}
            for rank in range(7)
        ]
        (folder / "top.json").write_text(json.dumps({"all": [], "jitted": rows}))
    return tmp_path


def test_page_shows_the_top_five_of_each_target(profiles):
    _, table = document._where_the_time_goes(document._recordings(profiles))
    assert table.count("\n") == 1 + 5 * len(TARGETS)
    assert "| `runtime_math/decide/strict` | `f0_4` | 10.0% | 5.0% to 20.0% |" in table
    assert "f0_5" not in table


def test_missing_recordings_are_found_before_measuring(profiles, capsys):
    (profiles / "validate_known-strict" / "meta.json").unlink()
    with pytest.raises(UsageError, match="no recording of validate_known/strict"):
        document.write(profiles / "page.md", None, 1, profiles, print)
    arguments = ["document", "--profiles", str(profiles), "-o", str(profiles / "page.md")]
    assert commands.main(arguments) == UsageError.exit_code
    assert "--all --out" in capsys.readouterr().err
    assert not (profiles / "page.md").exists()


def test_damaged_recordings_and_results_are_found_before_measuring(profiles):
    with pytest.raises(UsageError, match="holds no pyperf results"):
        document.write(profiles / "page.md", profiles / "none.json", 1, profiles, print)
    (profiles / "validate_known-strict" / "top.json").write_text("{")
    with pytest.raises(UsageError, match="validate_known-strict is no recording"):
        document.write(profiles / "page.md", None, 1, profiles, print)


def test_page_is_put_together(monkeypatch, tmp_path):
    monkeypatch.setattr(document, "_sections", lambda *_: [("some", 1, lambda: ["MEASURED"])])
    assert commands.main(["document", "--rounds", "3", "-o", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text()
    places = [page.index(part) for part in ("best of 3", "MEASURED", "did not pay", "Repeating")]
    assert places == sorted(places)
    told = []
    document._measured([("first", 60, list), ("second", 120, list)], told.append)
    assert told == ["1/2 first, about 3 min left", "2/2 second, about 2 min left"]
    assert "Left out" in document._where_the_time_goes(None)[0]
    assert commands.main(["document", "--rounds", "0"]) == UsageError.exit_code
