"""Files that hold one kernel state: written atomically, checked before anything is believed.

Layout: the magic line, a line of JSON (format version, layout, size, SHA-256), then the record's
bytes. The layout is a digest of the state's dtype, so a file of a kernel whose records are laid
out differently is refused instead of being misread.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from runtime_math.records import Records

MAGIC = b"runtime-math state\n"
FORMAT_VERSION = 1
LARGEST_HEADER_BYTES = 4096


class StateFileError(ValueError):
    """A state file is damaged, truncated, or of another version or layout."""


def layout_digest(dtype: np.dtype[Any]) -> str:
    """Digest of a structured dtype: names, types, offsets and total size.

    Parameters
    ----------
    dtype : numpy.dtype

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    text = f"{np.lib.format.dtype_to_descr(dtype)}{dtype.itemsize}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode(states: Records) -> bytes:
    """Bytes of a file that holds these states."""
    payload = states.tobytes()
    header = {
        "version": FORMAT_VERSION,
        "layout": layout_digest(states.dtype),
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    return MAGIC + json.dumps(header).encode() + b"\n" + payload


def decode(data: bytes, dtype: np.dtype[Any], source: str) -> Records:
    """States held in the bytes of a file.

    Parameters
    ----------
    data : bytes
    dtype : numpy.dtype
        The state's dtype in this version.
    source : str
        Name for error messages.

    Returns
    -------
    numpy.ndarray of shape (1,)

    Raises
    ------
    StateFileError
        Saying what is wrong with the data.
    """
    if not data.startswith(MAGIC):
        raise StateFileError(f"{source} is not a kernel state (its first bytes are {data[:16]!r})")
    end = data.find(b"\n", len(MAGIC), LARGEST_HEADER_BYTES)
    if end < 0:
        raise StateFileError(f"{source} is truncated within its header")
    try:
        header = json.loads(data[len(MAGIC) : end])
        version, layout = header["version"], header["layout"]
        size, digest = header["bytes"], header["sha256"]
    except (ValueError, KeyError, TypeError):
        raise StateFileError(f"{source} has a damaged header") from None
    if version != FORMAT_VERSION:
        raise StateFileError(
            f"{source} has format version {version}; this release reads version {FORMAT_VERSION}"
        )
    if layout != layout_digest(dtype):
        raise StateFileError(f"{source} was written by a release with another state layout")
    payload = data[end + 1 :]
    if len(payload) != size or size != dtype.itemsize:
        raise StateFileError(
            f"{source} holds {len(payload)} bytes of state instead of {dtype.itemsize}"
        )
    if hashlib.sha256(payload).hexdigest() != digest:
        raise StateFileError(f"{source} is corrupted: its checksum does not match")
    return np.frombuffer(bytearray(payload), dtype)


def write(path: str | os.PathLike[str], states: Records) -> None:
    """Write a state file; an interrupted write leaves an older file as it was."""
    path = Path(path)
    data = encode(states)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read(path: str | os.PathLike[str], dtype: np.dtype[Any]) -> Records:
    """Read a state file; see `decode` for what is refused."""
    return decode(Path(path).read_bytes(), dtype, str(path))
