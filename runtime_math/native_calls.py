"""The single calls of a kernel as builtins: machine code from Python's arguments to its results.

A kernel's methods check what they are given and make the call; they define what a call means. The
builtins here do the same for exactly the right arguments, and leave everything else to the method.
"""

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime_math.faithful.ordering import unpack_ordering
from runtime_math.numerics.builtins.arguments import Fields, Flag, Member, Word
from runtime_math.numerics.builtins.builtin import Builtin
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.builtins.results import ReadyObjects
from runtime_math.records import Records
from runtime_math.types import (
    ApiFamily,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

if TYPE_CHECKING:
    from runtime_math.kernel import RuntimeMathKernel

# Decisions and orderings by their packed form: the same few recur, so each is built once.
DECISIONS = ReadyObjects(RuntimeDecision.unpack)
ORDERINGS = ReadyObjects(unpack_ordering)

_CONTEXT = Fields(RuntimeContext, (len(ApiFamily), 2**64, 2**64, None, 2**16, None))


class _NativeCall(NamedTuple):
    arguments: tuple[Any, ...]
    returns: str
    core: str  # name in `runtime_math.calls.Calls`
    ready: ReadyObjects[Any] | None = None


_NATIVE_CALLS = {
    "decide": _NativeCall((Member(SafetyLevel), _CONTEXT), "ready", "decide", DECISIONS),
    "observe_validation_result": _NativeCall(
        (Member(ApiFamily), Member(ValidationProfile), Word(), Flag()), "nothing", "observe"
    ),
    "check_ordering": _NativeCall(
        (Member(ApiFamily), Flag(), Flag()), "ready", "check_ordering", ORDERINGS
    ),
    "note_overlap": _NativeCall((Word(), Word(), Word()), "truth", "note_overlap"),
}


@functools.cache
def _builtin(name: str, method: Callable[..., Any]) -> Builtin:
    call = _NATIVE_CALLS[name]
    return Builtin(method, call.arguments, call.returns)


def _compiled(name: str, method: Callable[..., Any]) -> int:
    return _builtin(name, method).compiled.c_address


def compilations(kernel_class: type) -> dict[str, Callable[[], object]]:
    """What `runtime_math.precompile` compiles of this module: functions, by name."""
    if not available():
        return {}
    return {
        f"{name} from Python": functools.partial(_compiled, name, getattr(kernel_class, name))
        for name in _NATIVE_CALLS
    }


def bind_native_calls(
    kernel: "RuntimeMathKernel", kernel_class: type["RuntimeMathKernel"], names: Iterable[str]
) -> dict[str, Callable[..., Any]]:
    """Builtins of a kernel, by the name of the method that each stands for.

    Parameters
    ----------
    kernel : RuntimeMathKernel
        Referred to weakly.
    kernel_class : type
        `RuntimeMathKernel`; where the class of `kernel` has replaced a method of it, the method
        stays.
    names : iterable of str
        Of methods. Each builtin is machine code to be loaded, so those come late that most programs
        never need.

    Returns
    -------
    dict of {str: builtin_function_or_method}
        Empty where builtins are not available.
    """
    if not available():
        return {}
    return {
        name: _builtin(name, method).bind(
            kernel,
            getattr(kernel._calls, call.core).c_address,
            kernel._address,
            kernel.states,
            functools.partial(_on_slow_path, name, kernel_class),
            call.ready,
        )
        for name, call in _NATIVE_CALLS.items()
        if name in names and getattr(type(kernel), name) is (method := getattr(kernel_class, name))
    }


def _on_slow_path(
    name: str,
    kernel_class: type["RuntimeMathKernel"],
    kernel: "RuntimeMathKernel | None",
    states: Records,
    *arguments: Any,
    **keywords: Any,
) -> Any:
    """Make a call that machine code gave up on; of a kernel that is gone, its state remains."""
    if kernel is None:
        kernel = kernel_class.from_states(states)
    return getattr(type(kernel), name)(kernel, *arguments, **keywords)
