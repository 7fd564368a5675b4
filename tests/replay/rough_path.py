"""Golden operations of the path-signature monitor."""

from runtime_math.monitors.rough_path import BASELINE_WINDOWS, LEVEL2, LEVEL3, WINDOW, RoughPath


def _flat(signature):
    return {name: level.ravel().tolist() for name, level in signature._asdict().items()}


class Replay:
    def __init__(self, init):
        self.monitor = RoughPath(**init)

    def observe(self, values):
        monitor = self.monitor
        state = monitor.observe(values)
        record = monitor.record
        baseline = record["baseline"]
        assert monitor.state == state
        return {
            **monitor.summary()._asdict(),
            "state": state,
            "write_pos": record["write_position"],
            "count": WINDOW if record["baseline_windows"] else record["write_position"],
            "baseline_windows": record["baseline_windows"],
            "baseline_ready": record["baseline_windows"] == BASELINE_WINDOWS,
            "baseline_level1": lambda: baseline[:LEVEL2].tolist(),
            "baseline_level2": lambda: baseline[LEVEL2:LEVEL3].tolist(),
            "baseline_level3": lambda: baseline[LEVEL3:].tolist(),
        }

    def signature(self, path):
        result = RoughPath.signature(path)
        return {**_flat(result), "norm": RoughPath.norm(result)}

    def distance_blend(self, a, b, alpha):
        first, second = RoughPath.signature(a), RoughPath.signature(b)
        blended = RoughPath.blend(first, second, alpha)
        return {
            "distance": RoughPath.distance(first, second),
            "blend_norm": RoughPath.norm(blended),
            **{f"blend_{name}": level for name, level in _flat(blended).items()},
        }
