"""What a validation found, as a value that compiled code builds by itself.

A validation takes less than a microsecond, so a result that Python code put together would take
as long as what it reports. The compiled entry point makes the named tuple instead: one allocation,
enumeration members taken from tables.
"""

from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.extending import box, intrinsic, register_model

from membrane.blocks.lattice import SafetyState, can_read, can_write
from membrane.blocks.page_permissions import mapping_around
from membrane.stages.galois import PointerAbstraction
from membrane.stages.outcomes import WITHOUT_BLOCK, Outcome, Validation
from runtime_math.numerics.compilation import interpreted

_READABLE, _WRITABLE = (
    frozenset(state for state in SafetyState if interpreted(allows)(int(state)))
    for allows in (can_read, can_write)
)
_USABLE = (Outcome.CACHED_VALID, Outcome.VALIDATED)
_DESCRIBED_MASK = sum(1 << code for code in Outcome if code not in WITHOUT_BLOCK)


class ValidationOutcome(NamedTuple):
    """What a validation found.

    Attributes
    ----------
    outcome : Outcome
    address : int
    state : SafetyState
    base, remaining, generation : int or None
        Of the block that the address belongs to; None where there is none. For a foreign buffer
        base and remaining are those of the buffer.
    """

    outcome: Outcome
    address: int
    state: SafetyState
    base: int | None
    remaining: int | None
    generation: int | None

    @property
    def can_read(self) -> bool:
        """Whether bytes at the address may be read; of foreign memory the system is asked now."""
        if self.outcome in _USABLE:
            return self.state in _READABLE
        if self.outcome == Outcome.FOREIGN:
            around = mapping_around(self.address)
            return around is None or around.readable
        return self.outcome == Outcome.BYPASSED

    @property
    def can_write(self) -> bool:
        """Whether bytes at the address may be written; see `can_read`."""
        if self.outcome in _USABLE:
            return self.state in _WRITABLE
        if self.outcome == Outcome.FOREIGN:
            around = mapping_around(self.address)
            return around is None or around.writable
        return self.outcome == Outcome.BYPASSED

    @property
    def abstraction(self) -> PointerAbstraction:
        """The address with what is known about it, as `membrane.stages.galois` takes it."""
        return PointerAbstraction(*self[1:])


class ReadOnlyOutcome(ValidationOutcome):
    """What a validation found of memory whose owner lets nobody write: `bytes`, say."""

    __slots__ = ()

    @property
    def can_write(self) -> bool:
        """Never."""
        return False


_FIELD_TYPES = {
    "outcome": types.int64,
    "address": types.uint64,
    "state": types.int64,
    "base": types.uint64,
    "remaining": types.uint64,
    "generation": types.int64,
}
_FACTS = types.NamedTuple([_FIELD_TYPES[name] for name in Validation._fields], Validation)
# In the order of their codes; compiled code keeps references to these.
_TABLES = {"outcome": tuple(Outcome), "state": tuple(SafetyState)}


class _BoxedOutcome(types.NamedTuple):
    """A `Validation` that becomes a `ValidationOutcome` when Python receives it."""

    def __init__(self):
        super().__init__(_FACTS.types, ValidationOutcome)
        self.name = "ValidationOutcome"


register_model(_BoxedOutcome)(models.TupleModel)
_BOXED_OUTCOME = _BoxedOutcome()


@intrinsic
def for_python(typing_context, validation):
    """Mark a `Validation` as the result of an entry point for Python."""

    def emit(context, builder, signature, arguments):
        return context.cast(builder, arguments[0], signature.args[0], _FACTS)

    return _BOXED_OUTCOME(_FACTS), emit


def _constant(c, value):
    return c.env_manager.read_const(c.env_manager.add_const(value))


def _member(c, table, code):
    """Emit a new reference to the enumeration member of a code."""
    kind = ir.FunctionType(c.pyapi.pyobj, [c.pyapi.pyobj, c.pyapi.py_ssize_t])
    get = c.pyapi._get_function(kind, "PyTuple_GetItem")
    member = c.builder.call(get, [_constant(c, table), code])
    c.pyapi.incref(member)
    return member


def _number_or_none(c, described, kind, value):
    """Emit a new reference to a number, or to None where no block is described."""
    item = cgutils.alloca_once_value(c.builder, c.pyapi.borrow_none())
    with c.builder.if_else(described) as (then, otherwise):
        with then:
            c.builder.store(c.box(kind, value), item)
        with otherwise:
            c.pyapi.incref(c.pyapi.borrow_none())
    return c.builder.load(item)


@box(_BoxedOutcome)
def _box_outcome(kind, value, c):
    builder, word = c.builder, ir.IntType(64)
    # What the class's own constructor does: a tuple is filled while nobody else has seen it.
    allocate = c.pyapi._get_function(
        ir.FunctionType(c.pyapi.pyobj, [c.pyapi.pyobj, c.pyapi.py_ssize_t]), "PyType_GenericAlloc"
    )
    length = c.pyapi.py_ssize_t(len(kind.types))
    result = builder.call(allocate, [_constant(c, ValidationOutcome), length])
    with builder.if_then(cgutils.is_not_null(builder, result), likely=True):
        code = builder.extract_value(value, Validation._fields.index("outcome"))
        bit = builder.and_(builder.lshr(word(_DESCRIBED_MASK), code), word(1))
        described = builder.icmp_unsigned("!=", bit, word(0))
        for index, name in enumerate(Validation._fields):
            part = builder.extract_value(value, index)
            if name in _TABLES:
                item = _member(c, _TABLES[name], part)
            elif name == "address":
                item = c.box(_FIELD_TYPES[name], part)
            else:
                item = _number_or_none(c, described, _FIELD_TYPES[name], part)
            c.pyapi.tuple_setitem(result, index, item)
    return result
