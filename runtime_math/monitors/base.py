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

import numba
import numpy as np

from runtime_math.numerics.builtins.direct_call import direct_call
from runtime_math.numerics.builtins.emission import available
from runtime_math.numerics.c_function import CFunction
from runtime_math.validation import (  # noqa: F401 - monitors take their validators from here
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

_AVAILABLE = available()


class operation:
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

    def __init__(self, function, /, returns=None, **parameters):
        code = function.py_func.__code__
        expected = list(code.co_varnames[1 : code.co_argcount])
        if expected != list(parameters):
            raise TypeError(f"{function.__name__} takes {expected}, not {list(parameters)}")
        self._function = function
        self._enter = None
        self._returns = returns
        self._validators = parameters
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __set_name__(self, owner, name):
        self.__name__ = name
        self._owner = owner

    @functools.cached_property
    def _signature(self):
        return inspect.Signature(
            inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
            for name in self._validators
        )

    def _caller(self, monitor):
        """What calls the compiled function on a monitor's record, which it keeps alive."""
        storage, address = monitor._storage, monitor._address
        if not _AVAILABLE:
            return functools.partial(self._function, storage[0])

        def call(*checked):
            enter = self._enter or self._compiled(storage.dtype, checked)
            return enter(address, *checked)

        return call

    def _compiled(self, dtype, checked):
        kinds = map(numba.typeof, checked)
        compiled = CFunction(self._function.py_func, numba.from_dtype(dtype), *kinds)
        self._enter = direct_call(compiled)
        return self._enter

    def __get__(self, instance, owner=None):
        if instance is None:
            return self
        # The instance's own attribute hides this descriptor from now on.
        vars(instance)[self.__name__] = method = self._method(self._caller(instance))
        return method

    def _method(self, call):
        validators, returns = list(self._validators.items()), self._returns

        def method(*arguments, **keywords):
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
        method.__signature__ = self._signature
        return method


class reading(operation):
    """An `operation` without arguments, read as a property: ``monitor.state``."""

    def __get__(self, instance, owner=None):
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

    STATE: np.dtype
    PARAMETERS: dict = {}
    initialise = None

    def __init_subclass__(cls, **keywords):
        super().__init_subclass__(**keywords)
        initialise = cls.__dict__.get("initialise")
        if initialise is not None:
            cls.initialise = staticmethod(initialise)

    def __init__(self, **parameters):
        unknown = set(parameters) - set(self.PARAMETERS)
        if unknown:
            raise TypeError(f"{type(self).__name__} has no parameter {sorted(unknown)[0]!r}")
        self._parameters = tuple(
            validate(name, parameters.get(name, default))
            for name, (validate, default) in self.PARAMETERS.items()
        )
        self._bind(np.zeros(1, self.STATE))
        self.initialise(self.record, *self._parameters)

    def _bind(self, storage):
        self._storage = storage
        self._address = storage.ctypes.data
        self.record = storage[0]

    def reset(self):
        """Return to the state at construction."""
        fresh = np.zeros(1, self.STATE)
        self.initialise(fresh[0], *self._parameters)
        self._storage[:] = fresh

    def copy(self):
        """Return an independent monitor with the same state."""
        twin = object.__new__(type(self))
        twin.__setstate__(self.__getstate__())
        return twin

    def __getstate__(self):
        return {"parameters": self._parameters, "state": self._storage.tobytes()}

    def __setstate__(self, saved):
        vars(self).clear()
        self._parameters = saved["parameters"]
        self._bind(np.frombuffer(bytearray(saved["state"]), self.STATE))

    def __repr__(self):
        return f"<{type(self).__name__} of {self.STATE.itemsize} bytes>"


def named(summary_type, **enumerations):
    """Make a converter that gives fields of a summary tuple their enum types."""

    @functools.wraps(summary_type)
    def convert(values):
        return values._replace(
            **{field: kind(getattr(values, field)) for field, kind in enumerations.items()}
        )

    return convert
