"""The pipeline of the process, which guards and the functions of `membrane.libc` share."""

import functools
import threading

from membrane.pipeline.validation_pipeline import ValidationPipeline

_lock = threading.Lock()


@functools.cache
def _make_default() -> ValidationPipeline:
    return ValidationPipeline()


def default_pipeline() -> ValidationPipeline:
    """Return the pipeline of the process, made at the first use in the configured mode."""
    with _lock:
        return _make_default()
