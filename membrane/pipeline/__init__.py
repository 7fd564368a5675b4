"""The Python face: blocks as arrays, outcomes as values, errors as exceptions."""

from membrane.pipeline.outcome import ValidationOutcome
from membrane.pipeline.validation_pipeline import ValidationPipeline

__all__ = ["ValidationOutcome", "ValidationPipeline"]
