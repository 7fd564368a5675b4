"""The kernel's calls as other people's jitted code makes them, written once for every policy.

Arguments of any integer type are converted and checked here, inline in the caller; what remains is
a call of a function that is compiled on its own, once for all callers. As in `runtime_math.calls`,
the functions below the class are templates: each policy gets copies with globals of their own.
"""

import functools
from collections.abc import Callable

from numba import from_dtype, types

from runtime_math.call_context import CALL_CONTEXT, CallContext
from runtime_math.decision import Decision, unpack_decision
from runtime_math.numerics.arguments import below, flag, from_minus_one, word
from runtime_math.numerics.compilation import entry_jitted, jitted
from runtime_math.numerics.templates import copied
from runtime_math.types import FAMILY_COUNT, PROFILE_COUNT, SafetyLevel

MODE_COUNT = len(SafetyLevel)
CONTENTION_LIMIT = 2**16
ORDERING_LIMIT = 2**28
STAGE_LIMIT = 2**63

_CODE, _WORD, _FLAG = types.int64, types.uint64, types.boolean
_SIGNATURES = {
    "decide_packed": (_CODE, CALL_CONTEXT),
    "observe_validation_result": (_CODE, _CODE, _WORD, _FLAG),
    "check_ordering": (_CODE, _FLAG, _FLAG),
    "note_check_order_outcome": (_CODE, _FLAG, _FLAG, _CODE, _CODE),
    "note_overlap": (_WORD, _WORD, _WORD),
    "acknowledge": (_CODE,),
    "reset_alarms": (_CODE,),
    "in_alarm": (_CODE,),
}


class JitCalls:
    """Functions for users' jitted code, one attribute each.

    Parameters
    ----------
    home : str
        Name of the module that makes them and imports all `functions` by name.
    **functions : numba dispatchers
        What they convert arguments for, by the names of `_SIGNATURES`.
    """

    decide_packed: Callable[..., int]
    decide: Callable[..., Decision]
    observe_validation_result: Callable[..., None]
    check_ordering: Callable[..., int]
    note_check_order_outcome: Callable[..., None]
    note_overlap: Callable[..., bool]
    acknowledge: Callable[..., None]
    reset_alarms: Callable[..., None]
    in_alarm: Callable[..., bool]

    def __init__(self, home, **functions):
        # Compiled to the end and cached, each on its own, so that a user's function that is not
        # cached links them in a second or two instead of compiling a kernel.
        self._compiled = {name: entry_jitted(each.py_func) for name, each in functions.items()}
        namespace = {**globals(), "__name__": home}
        namespace.update({f"compiled_{name}": each for name, each in self._compiled.items()})
        for template in _TEMPLATES:
            if template is decide or template.__name__ in functions:
                namespace[template.__name__] = jitted(copied(template, namespace))
                setattr(self, template.__name__, namespace[template.__name__])

    @property
    def main(self) -> tuple[Callable[..., int], Callable[..., Decision], Callable[..., None]]:
        """``decide_packed``, ``decide`` and ``observe_validation_result``."""
        return self.decide_packed, self.decide, self.observe_validation_result

    @property
    def smaller(self) -> tuple[Callable[..., int], Callable[..., None], Callable[..., bool]]:
        """``check_ordering``, ``note_check_order_outcome`` and ``note_overlap``."""
        return self.check_ordering, self.note_check_order_outcome, self.note_overlap

    def compilations(self, dtype):
        """What `runtime_math.precompile` compiles for a record: functions, by name."""
        record = from_dtype(dtype)
        return {
            f"jit.{name}": functools.partial(each.compile, (record, *_SIGNATURES[name]))
            for name, each in self._compiled.items()
        }


# ruff: noqa: F821 - the compiled functions are globals of the copies


def decide_packed(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call; the decision comes as one integer.

    Takes the arguments of `decide`. See `runtime_math.decision` for the bits.
    """
    context = CallContext(
        below("family", family, FAMILY_COUNT),
        word("addr_hint", addr_hint),
        word("requested_bytes", requested_bytes),
        flag("is_write", is_write),
        below("contention_hint", contention_hint, CONTENTION_LIMIT),
        flag("bloom_negative", bloom_negative),
    )
    return compiled_decide_packed(state, below("mode", mode, MODE_COUNT), context)


def decide(
    state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
):
    """Decide how deeply to check a call.

    Parameters
    ----------
    state : record
        Of a kernel, passed by reference.
    mode, family : integer
        Codes of `SafetyLevel` and `ApiFamily`.
    addr_hint, requested_bytes : integer
        0 to 2^64 - 1.
    is_write : bool
    contention_hint : integer
        0 to 65535.
    bloom_negative : bool

    Returns
    -------
    Decision

    Raises
    ------
    ValueError
        An argument is out of range; the state is unchanged.
    """
    packed = decide_packed(
        state, mode, family, addr_hint, requested_bytes, is_write, contention_hint, bloom_negative
    )
    return unpack_decision(packed)


def observe_validation_result(state, family, profile, cost_ns, adverse):
    """Feed the outcome of a validation back into the monitors.

    Parameters
    ----------
    state : record
        Of a kernel, passed by reference.
    family, profile : integer
        Codes of `ApiFamily` and `ValidationProfile`.
    cost_ns : integer
        0 to 2^64 - 1.
    adverse : bool

    Raises
    ------
    ValueError
        An argument is out of range; the state is unchanged.
    """
    compiled_observe_validation_result(
        state,
        below("family", family, FAMILY_COUNT),
        below("profile", profile, PROFILE_COUNT),
        word("cost_ns", cost_ns),
        flag("adverse", adverse),
    )


def check_ordering(state, family, aligned, recent_page):
    """Return the present stage ordering for a context, packed; changes nothing."""
    return compiled_check_ordering(
        state,
        below("family", family, FAMILY_COUNT),
        flag("aligned", aligned),
        flag("recent_page", recent_page),
    )


def note_check_order_outcome(state, family, aligned, recent_page, ordering, exit_stage):
    """Report at which position (-1 for none) of a packed ordering a validation ended."""
    compiled_note_check_order_outcome(
        state,
        below("family", family, FAMILY_COUNT),
        flag("aligned", aligned),
        flag("recent_page", recent_page),
        below("ordering", ordering, ORDERING_LIMIT),
        from_minus_one("exit_stage", exit_stage, STAGE_LIMIT),
    )


def note_overlap(state, left_shard, right_shard, witness):
    """Return whether two shards agree on a witness (0 to 2^64 - 1 each); if not, count a fault."""
    return compiled_note_overlap(
        state,
        word("left_shard", left_shard),
        word("right_shard", right_shard),
        word("witness", witness),
    )


def acknowledge(state, family):
    """Accept the present behaviour of one family, or of everything (family -1), as normal."""
    compiled_acknowledge(state, from_minus_one("family", family, FAMILY_COUNT))


def reset_alarms(state, family):
    """End one family's alarm, or all (family -1), and learn nothing from it."""
    compiled_reset_alarms(state, from_minus_one("family", family, FAMILY_COUNT))


def in_alarm(state, family):
    """Whether an alarm applies to the calls of a family now."""
    return compiled_in_alarm(state, below("family", family, FAMILY_COUNT))


_TEMPLATES = (
    decide_packed,
    decide,
    observe_validation_result,
    check_ordering,
    note_check_order_outcome,
    note_overlap,
    acknowledge,
    reset_alarms,
    in_alarm,
)
