"""Golden operations of the pointer abstraction."""

from membrane.stages import galois


class Replay:
    NAMES = {0: "proceed", 1: "heal", 2: "deny"}

    def __init__(self, init):
        pass

    def abstract_concretize(self, addr, state, base, remaining, generation, requested):
        facts = galois.abstract_pointer(addr, state, base, remaining, generation)
        action = galois.concretize(facts, requested)
        spelled = [self.NAMES[action.kind]]
        if action.kind == galois.ConcreteActionKind.HEAL:
            spelled.append(["clamp_size", requested, action.size])
        if action.kind != galois.ConcreteActionKind.DENY:
            spelled += [action.address, action.size]
        return {"abs": list(facts), "action": spelled}

    def null(self):
        return {"abs": list(galois.null())}

    def unknown(self, addr):
        return {"abs": list(galois.unknown(addr))}

    def validated(self, addr, state, base, remaining, generation):
        return {"abs": list(galois.validated(addr, state, base, remaining, generation))}
