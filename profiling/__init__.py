"""A sampling profiler that sees inside code compiled by Numba.

``python -m profiling record -- python script.py`` profiles any program, unchanged; one module
per step: `launch` and `bootstrap` (start it with hooks), `backends` (sample), `symbols`, `lines`
and `names` (the table of jitted code), `resolve`, `aggregate`, `recording`, `render`,
`commands`.
"""
