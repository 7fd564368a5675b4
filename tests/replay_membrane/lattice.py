"""Golden operations of the safety states."""

from membrane.blocks import lattice


class Replay:
    def __init__(self, init):
        pass

    def pair(self, a, b):
        return {"join": lattice.join(a, b), "meet": lattice.meet(a, b)}

    def flags(self, a):
        return {
            "can_read": lattice.can_read(a),
            "can_write": lattice.can_write(a),
            "is_live": lattice.is_live(a),
            "is_terminal": lattice.is_terminal(a),
        }
