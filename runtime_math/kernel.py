"""`RuntimeMathKernel`: the Python face of a kernel."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, SupportsIndex

import numpy as np

from runtime_math import batches, explanation, statefile, validation
from runtime_math.calls_for import calls_for
from runtime_math.config import configured_mode
from runtime_math.explanation import Explanation
from runtime_math.faithful.ordering import STAGE_COUNT, pack_ordering
from runtime_math.faithful.snapshot import KernelSnapshot, take_snapshot
from runtime_math.faithful.state import KERNEL_STATE, copied, new_state
from runtime_math.native_calls import DECISIONS, ORDERINGS, bind_native_calls
from runtime_math.numerics.builtins.builtin import divert
from runtime_math.numerics.entry_point import EntryPoint
from runtime_math.records import Records
from runtime_math.trace import TraceWriter
from runtime_math.types import (
    ApiFamily,
    CheckStage,
    RuntimeContext,
    RuntimeDecision,
    SafetyLevel,
    ValidationProfile,
)

_MODE = validation.member(SafetyLevel)
_FAMILY = validation.member(ApiFamily)
_PROFILE = validation.member(ValidationProfile)
_STAGE = validation.member(CheckStage)
_WORD = validation.integer(0, 2**64 - 1)
_POSITION = validation.integer(0, 2**63 - 1)
_POLICIES = ("faithful", "calibrated")


class RuntimeMathKernel:
    """Decides for each call how deeply to check it, and learns from the outcomes.

    Parameters
    ----------
    mode : SafetyLevel or int, optional
        Configured mode. By default the mode of the environment variable ``GLIBC_RUST_MODE``.
    policy : {"faithful", "calibrated"}, default "faithful"
        How decisions are formed. A calibrated kernel is a `CalibratedKernel`, a subclass.
    **settings
        Settings of the calibrated policy: ``alpha_alarm``, ``adverse_ceiling``,
        ``latency_share``, ``monitors`` (see `CalibratedKernel`).

    Notes
    -----
    Threads may share a kernel. A single call (`decide`, `observe_validation_result`, ...) is
    atomic: it is applied completely, between other calls, never lost. A batch (`decide_many`,
    `observe_many`, `replay`) releases the interpreter lock and is atomic as a whole: calls of
    other threads wait for its end. Jitted code that works on `states` itself, and other processes
    that share its memory, need a lock of their own.

    Examples
    --------
    >>> kernel = RuntimeMathKernel(SafetyLevel.STRICT)
    >>> context = RuntimeContext.pointer_validation(0x7F12_3456_7000)
    >>> decision = kernel.decide(SafetyLevel.STRICT, context)
    >>> decision.action, decision.risk_upper_bound_ppm
    (<MembraneAction.ALLOW: 0>, 115000)
    >>> kernel.observe_validation_result(context.family, decision.profile, 12, False)
    >>> kernel.snapshot().decisions
    1
    """

    # Records that a kernel of this class may have.
    _dtypes: tuple[np.dtype[Any], ...] = (KERNEL_STATE,)

    def __new__(
        cls, mode: SafetyLevel | int | None = None, policy: str = "faithful", **settings: Any
    ) -> Self:
        if not isinstance(policy, str) or policy not in _POLICIES:
            allowed = " or ".join(map(repr, _POLICIES))
            raise ValueError(f"policy must be {allowed}, got {policy!r}")
        if policy == "calibrated" and cls is RuntimeMathKernel:
            from runtime_math.calibrated.kernel import CalibratedKernel

            return object.__new__(CalibratedKernel)  # type: ignore[return-value]
        return object.__new__(cls)

    def __init__(
        self, mode: SafetyLevel | int | None = None, policy: str = "faithful", **settings: Any
    ) -> None:
        if settings:
            name = next(iter(settings))
            raise TypeError(f"the faithful policy has no setting {name!r}")
        self._attach(new_state(self._configured(mode)))

    @staticmethod
    def _configured(mode: SafetyLevel | int | None) -> SafetyLevel:
        return configured_mode() if mode is None else SafetyLevel(_MODE("mode", mode))

    def _attach(self, states: Records) -> None:
        self.states = states
        self._calls = calls_for(states.dtype)
        self._address = states.ctypes.data
        self._recorder: TraceWriter | None = None
        self._batch_lock = threading.Lock()
        self._native_calls: dict[str, Callable[..., Any]] = {}
        self._late_calls = {"check_ordering", "note_overlap"}
        self._go_native("decide", "observe_validation_result")

    def _go_native(self, *names: str) -> None:
        """Let calls be machine code from now on: the object's own attributes hide its methods.

        The methods remain the slow path, and all there is where builtins are not available.
        """
        self._late_calls.difference_update(names)
        bound = bind_native_calls(self, RuntimeMathKernel, names)
        for each in bound.values():
            divert(each, self._recorder is not None)
        self._native_calls.update(bound)
        vars(self).update(bound)

    @property
    def mode(self) -> SafetyLevel:
        """Configured mode (`SafetyLevel`)."""
        return SafetyLevel(int(self.states["mode"][0]))

    # --- single calls -------------------------------------------------------------------------

    def decide(self, mode: SafetyLevel | int, context: RuntimeContext) -> RuntimeDecision:
        """Decide how deeply to check a call.

        Parameters
        ----------
        mode : SafetyLevel or int
            Mode of this decision; it need not be the configured one.
        context : RuntimeContext
            The call.

        Returns
        -------
        RuntimeDecision

        Raises
        ------
        TypeError, ValueError
            Naming the argument; the kernel is unchanged.
        """
        if context.__class__ is not RuntimeContext:
            raise TypeError(f"context must be a RuntimeContext, got {context!r}")
        if mode.__class__ is not SafetyLevel:
            mode = _MODE("mode", mode)
        call = self._calls.decide.address_call
        packed = call(self._address, mode, *context)
        if packed < 0:
            packed = self._when_idle(call, mode, *context)
        decision = DECISIONS(packed)
        if self._recorder is not None:
            self._recorder.decide(mode, context, decision)
        return decision

    def observe_validation_result(
        self,
        family: ApiFamily | int,
        profile: ValidationProfile | int,
        cost_ns: int,
        adverse: bool,
    ) -> None:
        """Feed the outcome of a validation back into the monitors.

        Parameters
        ----------
        family : ApiFamily or int
            Family of the call.
        profile : ValidationProfile or int
            Profile that was run.
        cost_ns : int
            What it cost in nanoseconds, 0 to 2^64 - 1.
        adverse : bool
            Whether the validation found something wrong.

        Raises
        ------
        TypeError, ValueError
            Naming the argument; the kernel is unchanged.
        """
        if family.__class__ is not ApiFamily:
            family = _FAMILY("family", family)
        if profile.__class__ is not ValidationProfile:
            profile = _PROFILE("profile", profile)
        if cost_ns.__class__ is not int:
            cost_ns = _WORD("cost_ns", cost_ns)
        if adverse is not True and adverse is not False:
            adverse = validation.flag("adverse", adverse)
        try:
            call = self._calls.observe.address_call
            busy = call(self._address, family, profile, cost_ns, adverse)
        except OverflowError:
            # Only the cost can be out of its type's range; nothing has been observed yet.
            _WORD("cost_ns", cost_ns)
            raise
        if busy:
            self._when_idle(call, family, profile, cost_ns, adverse)
        if self._recorder is not None:
            self._recorder.observe(family, profile, cost_ns, adverse)

    def check_ordering(
        self, family: ApiFamily | int, aligned: bool, recent_page: bool
    ) -> tuple[CheckStage, ...]:
        """Order in which to try the validation stages for a context; changes nothing.

        Parameters
        ----------
        family : ApiFamily or int
        aligned : bool
            Whether the address is word-aligned.
        recent_page : bool
            Whether the page was seen recently.

        Returns
        -------
        tuple of CheckStage
            All seven stages.
        """
        if "check_ordering" in self._late_calls:
            self._go_native("check_ordering")
        context = self._stage_context(family, aligned, recent_page)
        stages = ORDERINGS(self._call(self._calls.check_ordering, *context))
        if self._recorder is not None:
            self._recorder.check_ordering(*context, stages)
        return stages

    def note_check_order_outcome(
        self,
        family: ApiFamily | int,
        aligned: bool,
        recent_page: bool,
        ordering_used: Sequence[CheckStage | int],
        exit_stage: SupportsIndex | None,
    ) -> None:
        """Report at which position of an ordering a validation ended.

        Parameters
        ----------
        family, aligned, recent_page
            As for `check_ordering`.
        ordering_used : sequence of 7 CheckStage or int
            The stages in the order in which they were tried.
        exit_stage : int or None
            Position in that ordering at which the validation ended; None, or a position
            beyond the seventh, when it ran through.
        """
        context = self._stage_context(family, aligned, recent_page)
        stages = [_STAGE("ordering_used", stage) for stage in ordering_used]
        if len(stages) != STAGE_COUNT:
            raise ValueError(f"ordering_used must hold {STAGE_COUNT} stages, got {len(stages)}")
        position = -1 if exit_stage is None else _POSITION("exit_stage", exit_stage)
        self._call(self._calls.note_check_order, *context, pack_ordering(stages), position)
        if self._recorder is not None:
            self._recorder.note_check_order(*context, stages, position)

    def note_overlap(
        self, left_shard: SupportsIndex, right_shard: SupportsIndex, witness: SupportsIndex
    ) -> bool:
        """Check that two shards agree on a witness; a disagreement counts as a fault.

        Parameters
        ----------
        left_shard, right_shard, witness : int
            0 to 2^64 - 1.

        Returns
        -------
        bool
            Whether they are consistent.
        """
        if "note_overlap" in self._late_calls:
            self._go_native("note_overlap")
        words = (
            _WORD("left_shard", left_shard),
            _WORD("right_shard", right_shard),
            _WORD("witness", witness),
        )
        consistent = self._call(self._calls.note_overlap, *words) == 1
        if self._recorder is not None:
            self._recorder.overlap(*words, consistent)
        return consistent

    def _stage_context(
        self, family: ApiFamily | int, aligned: bool, recent_page: bool
    ) -> tuple[int, bool, bool]:
        return (
            _FAMILY("family", family),
            validation.flag("aligned", aligned),
            validation.flag("recent_page", recent_page),
        )

    def _call(self, point: EntryPoint, *arguments: int) -> int:
        result = point.address_call(self._address, *arguments)
        return self._when_idle(point.address_call, *arguments) if result < 0 else result

    def _when_idle(self, address_call: Callable[..., int], *arguments: int) -> int:
        """Repeat a call that found a batch running, until it gets its turn."""
        while True:
            with self._batch_lock:
                result = address_call(self._address, *arguments)
            if result >= 0:
                return result

    # --- reading ------------------------------------------------------------------------------

    def snapshot(self, mode: SafetyLevel | int | None = None) -> KernelSnapshot:
        """Read-only record of the kernel's figures; changes nothing.

        Parameters
        ----------
        mode : SafetyLevel or int, optional
            Mode for the fields that depend on one (the two triggers, pareto's exhausted and
            cvar's alarmed families); by default the configured one.

        Returns
        -------
        KernelSnapshot
            90 named fields.
        """
        mode = int(self.states["mode"][0]) if mode is None else _MODE("mode", mode)
        return take_snapshot(self._copied_states(), mode)

    def explain(self, mode: SafetyLevel | int, context: RuntimeContext) -> Explanation:
        """Break down the decision that `decide` would return now; changes nothing.

        Parameters
        ----------
        mode, context
            As for `decide`.

        Returns
        -------
        Explanation
            Every risk term by name, the probe plan, the limits and each profile rule that fired;
            ``print`` shows it as a table.
        """
        if context.__class__ is not RuntimeContext:
            raise TypeError(f"context must be a RuntimeContext, got {context!r}")
        return explanation.explain(self._copied_states(), _MODE("mode", mode), context)

    # --- batches ------------------------------------------------------------------------------

    def decide_many(self, mode: SafetyLevel | int, contexts: Records) -> Records:
        """Decide on an array of calls in one jitted loop without the interpreter lock.

        Parameters
        ----------
        mode : SafetyLevel or int
        contexts : numpy.ndarray of dtype `CONTEXT`
            One-dimensional.

        Returns
        -------
        numpy.ndarray of dtype `DECISION`

        Raises
        ------
        TypeError, ValueError
            Wrong dtype or shape, or a code out of range (naming the row); nothing was decided.
        """
        return batches.decide_many(self, _MODE("mode", mode), contexts)

    def observe_many(self, outcomes: Records) -> None:
        """Observe an array of outcomes in one jitted loop without the interpreter lock.

        Parameters
        ----------
        outcomes : numpy.ndarray of dtype `OUTCOME`
            One-dimensional.

        Raises
        ------
        TypeError, ValueError
            As for `decide_many`; nothing was observed.
        """
        batches.observe_many(self, outcomes)

    def replay(self, events: Records) -> Records:
        """Make a mixed sequence of calls in one jitted loop without the interpreter lock.

        Parameters
        ----------
        events : numpy.ndarray of dtype `EVENT`
            One-dimensional.

        Returns
        -------
        numpy.ndarray of dtype `RESULT`
            What each call returned.

        Raises
        ------
        TypeError, ValueError
            As for `decide_many`; no call was made.
        """
        return batches.replay(self, events)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[Records]:
        """Keep all other calls out while the body works on `states` without the GIL."""
        with self._batch_lock:
            self.states["busy"][0] = 1
            try:
                yield self.states
            finally:
                self.states["busy"][0] = 0

    # --- state as a value ---------------------------------------------------------------------

    @classmethod
    def from_states(cls, states: Records) -> Self:
        """Kernel that works on an existing state, in place: shared or memory-mapped memory.

        Parameters
        ----------
        states : numpy.ndarray of shape (1,) and dtype `KERNEL_STATE`
            Writable, contiguous and aligned. The kernel keeps a reference, not a copy.

        Returns
        -------
        RuntimeMathKernel

        Examples
        --------
        One state, seen by two kernels through shared memory (a second process would open the
        block by its name):

        >>> from multiprocessing.shared_memory import SharedMemory
        >>> block = SharedMemory(create=True, size=KERNEL_STATE.itemsize)
        >>> states = np.ndarray(1, KERNEL_STATE, block.buf)
        >>> states[:] = new_state(SafetyLevel.HARDENED)
        >>> first, second = (RuntimeMathKernel.from_states(states) for _ in range(2))
        >>> first.note_overlap(1, 2, 99)
        False
        >>> second.snapshot().consistency_faults
        1
        >>> del first, second, states
        >>> block.close()
        >>> block.unlink()
        """
        if cls is RuntimeMathKernel and getattr(states, "dtype", None) != KERNEL_STATE:
            cls = cls._class_of(states)  # type: ignore[assignment]
        if not isinstance(states, np.ndarray) or states.dtype not in cls._dtypes:
            raise TypeError("states must be a NumPy array of dtype KERNEL_STATE")
        if states.shape != (1,):
            raise ValueError(f"states must have shape (1,), got {states.shape}")
        if not (states.flags.writeable and states.flags.c_contiguous and states.flags.aligned):
            raise ValueError("states must be writable, contiguous and aligned")
        kernel = object.__new__(cls)
        kernel._attach(states)
        return kernel

    @staticmethod
    def _class_of(states: object) -> type["RuntimeMathKernel"]:
        """Class of the kernels with such a record; the faithful one when there is none."""
        if isinstance(states, np.ndarray) and "policy" in (states.dtype.names or ()):
            from runtime_math.calibrated.kernel import CalibratedKernel

            return CalibratedKernel
        return RuntimeMathKernel

    def _copied_states(self) -> Records:
        with self._batch_lock:
            return copied(self.states)

    def copy(self) -> Self:
        """Independent kernel with the same state."""
        return self.from_states(self._copied_states())

    __copy__ = copy

    def __deepcopy__(self, memory: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        data = statefile.encode(self._copied_states())
        return _unpickle, (type(self), self._dtypes.index(self.states.dtype), data)

    def reset(self) -> None:
        """Return to the state at birth, in the same configured mode."""
        self._replace(self._newborn())

    def _newborn(self) -> Records:
        return new_state(self.mode)

    def _replace(self, states: Records) -> None:
        with self._batch_lock:
            self.states.view(np.uint8)[:] = states.view(np.uint8)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file, atomically: an interrupted save leaves an older file intact.

        Parameters
        ----------
        path : path-like
        """
        statefile.write(path, self._copied_states())

    def load(self, path: str | os.PathLike[str]) -> None:
        """Replace the state by one that was saved, configured mode included.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        StateFileError
            The file is corrupted, truncated, or of another version; the kernel is unchanged.
        OSError
            The file cannot be read.
        """
        self._replace(statefile.read(path, self.states.dtype))

    @contextlib.contextmanager
    def record(self, path: str | os.PathLike[str], scenario: str = "recorded") -> Iterator[Self]:
        """Write every call and its result to a trace file while the body runs.

        Parameters
        ----------
        path : path-like
            Gzip-compressed CSV; it gets this name when the body has ended without an exception.
            After an exception the rows so far stay beside it with the suffix ``.part``.
        scenario : str, default "recorded"
            Name in the header.

        Notes
        -----
        A trace replays exactly on a *new* kernel if it was recorded from birth. While recording,
        batches run call by call.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "calls.csv.gz"
        >>> kernel = RuntimeMathKernel(SafetyLevel.STRICT)
        >>> with kernel.record(path):
        ...     _ = kernel.decide(SafetyLevel.STRICT, RuntimeContext.pointer_validation(64))
        >>> from runtime_math.trace import read_rows
        >>> [row.kind for row in read_rows(path)]
        ['H', 'HC', 'HS', 'D']
        """
        if self._recorder is not None:
            raise RuntimeError("this kernel is being recorded already")
        validation.text("scenario", scenario)
        recorder = self._trace_writer(path, scenario)
        self._switch_recorder(recorder)
        try:
            yield self
        except BaseException:
            self._switch_recorder(None)
            recorder.abandon()
            raise
        self._switch_recorder(None)
        recorder.close()

    def _switch_recorder(self, recorder: TraceWriter | None) -> None:
        self._recorder = recorder
        for bound in self._native_calls.values():
            divert(bound, recorder is not None)

    def _trace_writer(self, path: str | os.PathLike[str], scenario: str) -> TraceWriter:
        return TraceWriter(path, self.states, self.snapshot, scenario)

    def __repr__(self) -> str:
        decisions = int(self.states["decisions"][0])
        return f"<RuntimeMathKernel {self.mode.name.lower()}, {decisions} decisions>"


def _unpickle(cls: type[RuntimeMathKernel], layout: int, data: bytes) -> RuntimeMathKernel:
    return cls.from_states(statefile.decode(data, cls._dtypes[layout], "the pickled kernel"))
