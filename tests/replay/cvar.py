"""Golden operations of the CVaR monitor."""

from runtime_math.monitors.cvar import Cvar
from runtime_math.types import ApiFamily, SafetyLevel, ValidationProfile


class Replay:
    def __init__(self, init):
        self.monitor = Cvar(**init)

    def observe(self, family, profile, latency_ns):
        monitor, record = self.monitor, self.monitor.record
        monitor.observe(family, profile, latency_ns)
        slot = 2 * family + profile
        fast, full = (
            monitor.slot_statistics(family, profile).ratio_permille for profile in ValidationProfile
        )
        return {
            "state": [monitor.family_state(mode, family) for mode in SafetyLevel],
            "pulls": record["pulls"][slot],
            "tail_count": record["tail_count"][slot],
            "tail_sum_ns": record["tail_sum_ns"][slot],
            "ratio_fast": fast,
            "ratio_full": full,
            "ratio_aggregate": monitor.aggregate_ratio(family),
            "family_robust_cvar_ns": monitor.family_robust_cvar_ns(family),
            **self.query(),
        }

    def query(self):
        monitor = self.monitor
        return {
            "max_family_robust_cvar_ns": lambda: monitor.max_family_robust_cvar_ns,
            "alarmed_family_count": lambda: [
                monitor.alarmed_family_count(mode) for mode in SafetyLevel
            ],
            "family_robust_all": lambda: [
                monitor.family_robust_cvar_ns(family) for family in ApiFamily
            ],
            "states_all": lambda: [
                [monitor.family_state(mode, family) for family in ApiFamily] for mode in SafetyLevel
            ],
        }
