"""What all monitors share: a Python face for a jitted controller whose state is one record.

A monitor module defines, top to bottom: its docstring (the question it answers, the mathematics,
the source), constants, its state codes as an `enum.IntEnum`, ``STATE`` (the record's dtype),
``init(state)``, the jitted operations on a record, a jitted ``summary(state)`` that returns a
`typing.NamedTuple`, and a `Monitor` subclass that only lists them:

    class EProcess(Monitor):
        STATE = STATE
        initialise = init
        observe = operation(observe, family=member(ApiFamily), adverse=flag)
        summary = operation(summary)

Jitted code (the kernel, or a user's own) calls the module's functions on the record; the class
validates what comes from Python, then calls the very same functions.
"""

import functools
import inspect
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import numba
import numpy as np
import numpy.typing as npt

from runtime_math.numerics.builtins.direct_call import direct_call
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.c_function import CFunction
from runtime_math.validation import (
    Validator,
    finite,
    flag,
    integer,
    member,
    real,
    uint8,
    uint16,
    uint32,
    uint64,
    vector,
)

# Monitors take their validators from here.
__all__ = [
    "Monitor",
    "finite",
    "flag",
    "integer",
    "member",
    "named",
    "operation",
    "reading",
    "real",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "vector",
]

Result = TypeVar("Result")
Summary = TypeVar("Summary", bound=tuple[Any, ...])

_AVAILABLE = available()


class operation(Generic[Result]):
    """Descriptor that turns a jitted ``function(state, ...)`` into a validating method.

    Parameters
    ----------
    function : numba dispatcher
        Takes the record first.
    returns : callable, optional
        Applied to the result: the state's enum, or any converter.
    **parameters : callable
        For every further argument, in order, ``validator(name, value)``.

    Notes
    -----
    All arguments are validated before the function is called, so a refused call changes nothing.
    """

    @overload
    def __init__(
        self: "operation[Any]", function: Any, /, returns: None = None, **parameters: Validator
    ) -> None: ...

    @overload
    def __init__(
        self, function: Any, /, returns: Callable[[Any], Result], **parameters: Validator
    ) -> None: ...

    def __init__(
        self,
        function: Any,
        /,
        returns: Callable[[Any], Result] | None = None,
        **parameters: Validator,
    ) -> None:
        code = function.py_func.__code__
        expected = list(code.co_varnames[1 : code.co_argcount])
        if expected != list(parameters):
            raise TypeError(f"{function.__name__} takes {expected}, not {list(parameters)}")
        self._function = function
        self._enter: Callable[..., Any] | None = None
        self._returns = returns
        self._validators = parameters
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__ = name
        self._owner = owner

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.Signature(
            [
                inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
                for name in self._validators
            ]
        )

    def _caller(self, monitor: "Monitor") -> Callable[..., Any]:
        """What calls the compiled function on a monitor's record, which it keeps alive."""
        storage, address = monitor._storage, monitor._address
        if not _AVAILABLE:
            return functools.partial(self._function, storage[0])

        def call(*checked: Any) -> Any:
            enter = self._enter or self._compiled(storage.dtype, checked)
            return enter(address, *checked)

        return call

    def _compiled(self, dtype: np.dtype[Any], checked: tuple[Any, ...]) -> Callable[..., Any]:
        kinds = map(numba.typeof, checked)
        compiled = CFunction(self._function.py_func, numba.from_dtype(dtype), *kinds)
        self._enter = direct_call(compiled)
        return self._enter

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: "Monitor", owner: type | None = None) -> Callable[..., Result]: ...

    def __get__(self, instance: "Monitor | None", owner: type | None = None) -> Any:
        if instance is None:
            return self
        # The instance's own attribute hides this descriptor from now on.
        vars(instance)[self.__name__] = method = self._method(self._caller(instance))
        return method

    def _method(self, call: Callable[..., Any]) -> Callable[..., Any]:
        validators, returns = list(self._validators.items()), self._returns

        def method(*arguments: Any, **keywords: Any) -> Any:
            if keywords or len(arguments) != len(validators):
                arguments = self._signature.bind(*arguments, **keywords).args
            checked = [
                validate(name, value)
                for (name, validate), value in zip(validators, arguments, strict=True)
            ]
            result = call(*checked)
            return result if returns is None else returns(result)

        method.__name__ = self.__name__
        method.__doc__ = self.__doc__
        method.__signature__ = self._signature  # type: ignore[attr-defined]
        return method


class reading(operation[Result]):
    """An `operation` without arguments, read as a property: ``monitor.state``."""

    if TYPE_CHECKING:  # the inherited overloads speak of operations

        @overload
        def __init__(self: "reading[Any]", function: Any, /) -> None: ...

        @overload
        def __init__(self, function: Any, /, returns: Callable[[Any], Result]) -> None: ...

        def __init__(self, function: Any, /, returns: Any = None) -> None: ...

    # A property gives the result, an operation something to call.
    @overload  # type: ignore[override]
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: "Monitor", owner: type | None = None) -> Result: ...

    def __get__(self, instance: "Monitor | None", owner: type | None = None) -> Any:
        if instance is None:
            return self
        result = self._caller(instance)()
        return result if self._returns is None else self._returns(result)


class Monitor:
    """Base of the stand-alone controllers.

    A subclass sets ``STATE`` (dtype) and ``initialise`` (jitted ``init(state, ...)``), and lists
    its operations. Keyword arguments of the constructor go to ``initialise`` after validation by
    the validators in ``PARAMETERS`` (name -> (validator, default)).
    """

    STATE: np.dtype[Any]
    PARAMETERS: dict[str, tuple[Validator, Any]] = {}
    initialise: Any = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        initialise = cls.__dict__.get("initialise")
        if initialise is not None:
            cls.initialise = staticmethod(initialise)

    def __init__(self, **parameters: Any) -> None:
        unknown = set(parameters) - set(self.PARAMETERS)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {sorted(unknown)[0]!r}")
        self._parameters = tuple(
            validate(name, parameters.get(name, default))
            for name, (validate, default) in self.PARAMETERS.items()
        )
        self._bind(np.zeros(1, self.STATE))
        self.initialise(self.record, *self._parameters)

    def _bind(self, storage: npt.NDArray[np.void]) -> None:
        self._storage = storage
        self._address = storage.ctypes.data
        self.record = storage[0]

    def reset(self) -> None:
        """Return to the state at construction."""
        fresh = np.zeros(1, self.STATE)
        self.initialise(fresh[0], *self._parameters)
        self._storage[:] = fresh

    def copy(self) -> Self:
        """Return an independent monitor with the same state."""
        twin = object.__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {"parameters": self._parameters, "state": self._storage.tobytes()}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        vars(self).clear()
        self._parameters = saved["parameters"]
        self._bind(np.frombuffer(bytearray(saved["state"]), self.STATE))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.STATE.itemsize} bytes>"


def named(summary_type: type[Summary], **enumerations: type[IntEnum]) -> Callable[[Any], Summary]:
    """Make a converter that gives fields of a summary tuple their enum types."""

    @functools.wraps(summary_type)
    def convert(values: Any) -> Summary:
        members = {field: kind(getattr(values, field)) for field, kind in enumerations.items()}
        replaced: Summary = values._replace(**members)
        return replaced

    return convert
