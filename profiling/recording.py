"""A recording on disk: a folder that is there completely or not at all."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from profiling import aggregate
from profiling.faults import ProfilingError

META, FOLDED, SYMBOLS = "meta.json", "stacks.folded", "symbols.json"
TOP_TEXT, TOP_JSON = "top.txt", "top.json"
FLAMEGRAPH, SPEEDSCOPE = "flamegraph.svg", "profile.speedscope.json"


class Recording(NamedTuple):
    """A recording that was read back."""

    path: Path
    meta: dict[str, Any]
    folded: aggregate.Folded

    @property
    def title(self) -> str:
        """The benchmark id, or the command."""
        return self.meta.get("id") or " ".join(self.meta["command"])


def is_recording(path: Path) -> bool:
    """Whether a folder looks like a recording."""
    return (path / META).is_file()


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder under a temporary name, and give it its own when all went well.

    A folder that stands in its place is replaced, in the last moment and only if it is a
    recording itself, or empty.
    """
    path = Path(path)
    if path.exists() and not (is_recording(path) or (path.is_dir() and not any(path.iterdir()))):
        raise ProfilingError(f"{path} exists and is no recording; choose another --out")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.partial-", dir=path.parent))
    except OSError as error:
        raise ProfilingError(f"cannot write {path}: {error.strerror}") from None
    try:
        partial.chmod(0o755)
        yield partial
        if path.exists():
            shutil.rmtree(path)
        os.rename(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(path: str | os.PathLike[str]) -> Recording:
    """Read a recording.

    Raises
    ------
    ProfilingError
        If the folder is none, or is damaged.
    """
    path = Path(path)
    try:
        meta = json.loads((path / META).read_text())
        folded = aggregate.parse_folded((path / FOLDED).read_text())
    except OSError:
        raise ProfilingError(f"{path} is no recording (no {META} or {FOLDED} in it)") from None
    except ValueError as error:
        raise ProfilingError(f"{path / META} is damaged: {error}") from None
    return Recording(path, meta, folded)
