"""Golden operations of the safe order of stages."""

from membrane.stages.stage_order import safe_order
from runtime_math.faithful.ordering import pack_ordering, unpack_ordering


def packed(digits):
    """Packed form of an order spelled as seven digits."""
    return pack_ordering(tuple(map(int, digits)))


def spelled(order):
    """Seven digits of a packed order."""
    return "".join(map(str, unpack_ordering(order)))


class Replay:
    def __init__(self, init):
        pass

    def dependency_safe_order(self, order):
        return {"ret": spelled(safe_order(packed(order)))}
