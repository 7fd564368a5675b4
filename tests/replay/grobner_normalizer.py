"""Golden operations of the Groebner normaliser."""

import numpy as np

from runtime_math.monitors import grobner_normalizer


class Replay:
    def __init__(self, init):
        self.monitor = grobner_normalizer.GrobnerNormalizer(**init)

    def check_state_vector(self, state, repeat=1):
        for _ in range(repeat):
            code = self.monitor.check_state_vector(state)
        assert code == self.monitor.state
        return self.monitor.summary()._asdict()

    def evaluate_constraints(self, state):
        return {"ret": grobner_normalizer.evaluate_constraints(np.array(state, np.uint8))}
