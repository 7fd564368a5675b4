"""Golden operations of the transport-distance monitor."""

from runtime_math.monitors.schrodinger_bridge import (
    BASELINE_BLOCKS,
    GIBBS_KERNEL,
    BridgeSummary,
    SchrodingerBridge,
)


class Replay:
    def __init__(self, init):
        self.monitor = SchrodingerBridge(**init)

    def observe_action(self, action_idx):
        monitor = self.monitor
        record = monitor.record
        state = monitor.observe_action(action_idx)
        return {
            **{
                name: lambda name=name: getattr(monitor.summary(), name)
                for name in BridgeSummary._fields
            },
            "state": state,
            "transition_count": monitor.transition_count,
            "window_total": record["block_actions"],
            "action_counts": lambda: record["counts"].tolist(),
            "baseline_windows": record["baseline_blocks"],
            "baseline_ready": record["baseline_blocks"] == BASELINE_BLOCKS,
        }

    def sinkhorn_distance(self, mu, nu):
        distance, converged = SchrodingerBridge.sinkhorn_distance(mu, nu)
        return {"ret": distance, "converged": converged}

    def table(self):
        return {"ret": [entry for row in GIBBS_KERNEL for entry in row]}
