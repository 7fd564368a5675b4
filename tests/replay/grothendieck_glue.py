"""Golden operations of the gluing monitor."""

from runtime_math.monitors.grothendieck_glue import GrothendieckGlue


class Replay:
    def __init__(self, init):
        self.monitor = GrothendieckGlue(**init)

    def observe_cocycle(self, family, repeat=1, **arguments):
        monitor = self.monitor
        for _ in range(repeat):
            state = monitor.observe_cocycle(family, **arguments)
        assert state == monitor.state
        return {
            **self.snapshot(),
            "family_violation_rate": monitor.family_violation_rate(family),
            "pair_rates": lambda: monitor.record["pair_rates"][family].tolist(),
            "family_observations": lambda: monitor.record["family_observations"][family],
        }

    def snapshot(self):
        return self.monitor.summary()._asdict()
