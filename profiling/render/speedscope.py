"""Recordings in the file format of speedscope (https://www.speedscope.app)."""

from typing import Any

from profiling.aggregate import Folded, phase_totals
from profiling.resolve import Frame


def render(folded: Folded, title: str) -> dict[str, Any]:
    """Return the JSON document of a recording: one profile per phase, weights in samples."""
    frames: list[dict[str, Any]] = []
    index: dict[Frame, int] = {}
    profiles = []
    totals = phase_totals(folded)
    for phase in sorted(totals, key=lambda name: (name != "run", name)):
        samples, weights = [], []
        for (stack_phase, stack), count in sorted(folded.items()):
            if stack_phase != phase:
                continue
            for frame in stack:
                if frame not in index:
                    index[frame] = len(frames)
                    frames.append(
                        {"name": frame.name, "file": frame.file}
                        | ({"line": frame.line} if frame.line else {})
                    )
            samples.append([index[frame] for frame in stack])
            weights.append(count)
        profiles.append(
            {
                "type": "sampled",
                "name": f"{phase} - {title}",
                "unit": "none",
                "startValue": 0,
                "endValue": totals[phase],
                "samples": samples,
                "weights": weights,
            }
        )
    return {
        "$schema": "https://www.speedscope.app/file-format-schema.json",
        "exporter": "profiling",
        "name": title,
        "activeProfileIndex": 0,
        "shared": {"frames": frames},
        "profiles": profiles,
    }
