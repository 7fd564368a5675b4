"""Golden operations of the POMDP repair monitor."""

import numpy as np

from runtime_math.monitors import pomdp_repair


class Replay:
    def __init__(self, init):
        self.monitor = pomdp_repair.PomdpRepair(**init)

    def observe_and_update(self, **arguments):
        monitor = self.monitor
        state = monitor.observe(**arguments)
        summary = monitor.summary()
        assert state == summary.state == monitor.state
        return {
            **summary._asdict(),
            "optimal_cost_at_belief": lambda: monitor.optimal_cost,
            "expected_cost_by_action": lambda: [monitor.expected_cost(code) for code in range(4)],
        }

    def table(self):
        return {
            "ret": {
                "transitions": pomdp_repair.TRANSITION.tolist(),
                "costs": pomdp_repair.COST.T.tolist(),
                "risk_boundaries": pomdp_repair.RISK_BOUNDS_PPM,
            }
        }

    def observation_likelihood(self, **arguments):
        return {"ret": pomdp_repair.observation_likelihood(**arguments)}

    def value_at_belief(self, belief):
        belief = np.array(belief)
        costs = [pomdp_repair.expected_cost(belief, code) for code in range(4)]
        optimum = pomdp_repair.optimal_cost(belief)
        return {"ret": {"optimal_cost": optimum, "expected_cost_by_action": costs}}

    def classify(self, **arguments):
        return {"ret": pomdp_repair.classify(**arguments)}
