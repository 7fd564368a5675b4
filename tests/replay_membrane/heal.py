"""Golden operations of the table of repairs."""

from membrane.stages.heal import Healing, HealingPlan, HealingPolicy


def spelled(plan):
    """Trace form of a repair."""
    sizes = {Healing.CLAMP_SIZE: 2, Healing.TRUNCATE_WITH_NULL: 2}.get(plan.kind, 0)
    return [plan.kind.name.lower(), *(plan.requested, plan.applied)[:sizes]]


class Replay:
    def __init__(self, init):
        self.policy = HealingPolicy()

    def _result(self, plan):
        return {
            "ret": spelled(plan),
            "is_heal": plan.is_heal,
            "counters": list(self.policy.counters().values()),
        }

    def heal_copy_bounds(self, requested, src_remaining, dst_remaining):
        return self._result(self.policy.heal_copy_bounds(requested, src_remaining, dst_remaining))

    def heal_string_bounds(self, src_len, dst_remaining):
        return self._result(self.policy.heal_string_bounds(src_len, dst_remaining))

    def record(self, action):
        name, *sizes = action
        plan = HealingPlan(Healing[name.upper()], *[*sizes, 0, 0][:2])
        self.policy.note(plan)
        return self._result(plan)
