"""Golden operations of the commitment audit."""

from runtime_math.monitors.commitment_audit import RING_SIZE, CommitmentAudit


class Replay:
    def __init__(self, init):
        self.monitor = CommitmentAudit(**init)

    def observe_transition(self, from_state, to_state, transition_hash):
        monitor = self.monitor
        state = monitor.observe_transition(from_state, to_state, transition_hash)
        values = monitor.summary()
        return {
            **values._asdict(),
            "state": state,
            "martingale_ewma": monitor.martingale_mean,
            "replay_pos": values.total_observations % RING_SIZE,
            "replay_fill": min(values.total_observations, RING_SIZE),
            "replay_ring": lambda: monitor.record["ring"].tolist(),
        }
