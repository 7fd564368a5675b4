"""The groups of benchmarks: every module here has a function `benchmarks` that returns a list."""
