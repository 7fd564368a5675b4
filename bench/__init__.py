"""Benchmarks under the ids of the original's suite, measured with pyperf.

``python -m bench --list`` shows the ids; each module of a group defines `benchmarks()`.
"""
