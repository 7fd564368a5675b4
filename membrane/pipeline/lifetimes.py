"""What C libraries make and take back: which of it is alive, and what it was given to keep.

Blocks of a pipeline are not here: an arena knows them. Here are the things that declared functions
begin and end: a `FILE`, a statement of sqlite3, memory of `strdup`, a stream of zlib in the
caller's own structure. One table serves the process, as the libraries in it share its addresses.
"""

from __future__ import annotations

import bisect
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from membrane.errors import UseAfterFreeError

MOST_ENDED = 65_536  # ended things that are remembered, the latest ones


class Loan(Protocol):
    """Memory, or a callback, that something keeps."""

    def fault(self) -> UseAfterFreeError | None:
        """Why it may be used no more."""

    def release(self) -> None:
        """Let go of it."""


class Loaned(NamedTuple):
    """What tells one loan of a thing from another.

    Attributes
    ----------
    function, argument : str
    slot : int, bytes or None
        The index that it was given for.
    """

    function: str
    argument: str
    slot: int | bytes | None


class Resource:
    """Something that a library made.

    Parameters
    ----------
    kind : str
        Its type.
    address : int
    size : int, optional
        Bytes that the caller may use; None: only the library looks into it.
    owner : Resource, optional
        It ends with this at the latest.
    structure : object, optional
        The memory of the caller that it lies in.

    Attributes
    ----------
    ended_by : str or None
        The function that ended it.
    loans : dict of {Loaned: Loan}
        What it was given to keep.
    """

    def __init__(
        self,
        kind: str,
        address: int,
        size: int | None = None,
        owner: Resource | None = None,
        structure: object = None,
    ) -> None:
        self.kind = kind
        self.address = address
        self.size = size
        self.owner = owner
        self.structure = structure
        self.ended_by: str | None = None
        self.loans: dict[Loaned, Loan] = {}
        self.borrowed: dict[int, Resource] = {}
        self._dependents: set[Resource] = set()
        #: Under what it is found: a structure of the caller's may be the first field of another.
        self.key = (address, "" if structure is None else kind)
        if owner is not None:
            owner._dependents.add(self)

    def fault(self, name: str) -> UseAfterFreeError | None:
        """Why it may be used no more, with the name of the pointer to it."""
        if self.ended_by is None:
            return None
        return UseAfterFreeError(f"{name} points to {self.kind} that {self.ended_by} has ended")

    def faulty_loans(self) -> Iterator[UseAfterFreeError]:
        """What it was given to keep and was not kept."""
        for loan in list(self.loans.values()):
            fault = loan.fault()
            if fault is not None:
                yield fault

    def lend(self, key: Loaned, loan: Loan) -> None:
        """Note what it was given to keep, in the place of what it had under the same key."""
        before = self.loans.get(key)
        self.loans[key] = loan
        if before is not None:
            before.release()

    def end_loans(self, index: int | bytes | None = None) -> None:
        """Let go of what it was given to keep: all of it, or what was given for an index."""
        for key in list(self.loans):
            if index is None or key.slot == index:
                self.loans.pop(key).release()

    def __str__(self) -> str:
        return self.kind if self.ended_by is None else f"{self.kind}, ended by {self.ended_by}"

    def __repr__(self) -> str:
        return f"<{self} at {self.address:#x}>"


class Lifetimes:
    """The things of a process that declared functions have begun.

    Examples
    --------
    >>> lifetimes = Lifetimes()
    >>> stream = lifetimes.begin(Resource("FILE", 4096))
    >>> lifetimes.claim(stream, "fclose"), lifetimes.claim(stream, "fclose")
    (True, False)
    >>> lifetimes.at(4096)
    <FILE, ended by fclose at 0x1000>
    """

    def __init__(self) -> None:
        #: Structures of the caller that must have been begun, as some function begins them.
        self.lifecycles: set[str] = set()
        self._known: dict[tuple[int, str], Resource] = {}
        self._named: dict[str, Resource] = {}
        self._ended: OrderedDict[tuple[int, str], Resource] = OrderedDict()
        self._starts: list[int] = []  # of those with a size, in order
        self._lock = threading.RLock()

    def begin(self, resource: Resource) -> Resource:
        """Note something new; what was at its address has gone."""
        with self._lock:
            before = self._known.get(resource.key)
            if before is not None:
                self._forget(before)
            self._known[resource.key] = resource
            if resource.size is not None:
                bisect.insort(self._starts, resource.address)
        return resource

    def claim(self, resource: Resource, by: str) -> bool:
        """End something; False where somebody else has ended it."""
        with self._lock:
            if resource.ended_by is not None:
                return False
            self._end(resource, by)
            return True

    def restore(self, resource: Resource) -> None:
        """Undo a claim: the function that was to end it has not done so."""
        with self._lock:
            resource.ended_by = None
            self._ended.pop(resource.key, None)

    def invalidate(self, owner: Resource, by: str) -> None:
        """End the memory that was borrowed from something."""
        with self._lock:
            borrowed, owner.borrowed = owner.borrowed, {}
            for each in borrowed.values():
                self._end(each, by)

    def settle(self, resource: Resource) -> None:
        """Let go of all that belonged to something that has ended."""
        by = resource.ended_by or "its owner"
        with self._lock:
            self.invalidate(resource, by)
            resource.end_loans()
            resource.structure = None
            if resource.owner is not None:
                resource.owner._dependents.discard(resource)
            for each in list(resource._dependents):
                self._end(each, by)
                self.settle(each)

    def _end(self, resource: Resource, by: str) -> None:
        if resource.ended_by is None:
            resource.ended_by = by
        if self._known.get(resource.key) is resource:
            self._ended[resource.key] = resource
            while len(self._ended) > MOST_ENDED:
                self._forget(next(iter(self._ended.values())))

    def _forget(self, resource: Resource) -> None:
        if self._known.get(resource.key) is resource:
            del self._known[resource.key]
            self._ended.pop(resource.key, None)
            if resource.size is not None:
                del self._starts[bisect.bisect_left(self._starts, resource.address)]

    def at(self, address: int) -> Resource | None:
        """What begins at an address, alive or not."""
        return self._known.get((address, ""))

    def around(self, address: int) -> Resource | None:
        """The memory that an address lies in, or ends."""
        with self._lock:
            place = bisect.bisect_right(self._starts, address) - 1
            if place < 0:
                return None
            found = self._known[self._starts[place], ""]
            return found if address <= found.address + (found.size or 0) else None

    def disown(self, address: int) -> None:
        """Forget what has ended where somebody else is known to own the memory."""
        with self._lock:
            for found in (self.around(address), self.at(address)):
                if found is not None and found.ended_by is not None:
                    self._forget(found)

    def in_structure(self, address: int, kind: str) -> Resource | None:
        """What was begun in a structure of the caller, alive or not."""
        return self._known.get((address, kind))

    def named(self, name: str) -> Resource:
        """What is no argument, but keeps memory: the environment for instance."""
        with self._lock:
            return self._named.setdefault(name, Resource(name, 0))

    def alive(self, kind: str | None = None) -> list[Resource]:
        """Everything that was begun and not ended, of one kind or of all."""
        return [
            each
            for each in list(self._known.values())
            if each.ended_by is None and kind in (None, each.kind)
        ]

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()


#: Of this process.
lifetimes = Lifetimes()
os.register_at_fork(after_in_child=lifetimes._renew_lock)
