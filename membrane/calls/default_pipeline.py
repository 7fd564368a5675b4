"""The pipeline of the process, which guards and the functions of `membrane.libc` share."""

import functools
import os
import threading

from membrane.pipeline.validation_pipeline import ValidationPipeline

_lock = threading.Lock()


def _renew_lock() -> None:
    """In a child that was forked while another thread held it."""
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_renew_lock)


@functools.cache
def _make_default() -> ValidationPipeline:
    return ValidationPipeline()


def default_pipeline() -> ValidationPipeline:
    """Return the pipeline of the process, made at the first use in the configured mode."""
    with _lock:
        return _make_default()
