"""Options and fixtures of the whole suite."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from runtime_math import _pytest_plugin

# Compilation may happen inside an example, so no deadline; derandomised: repeatable.
settings.register_profile(
    "suite",
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")

TESTS = Path(__file__).parent


def pytest_addoption(parser, pluginmanager):
    # The installed package registers the option earlier, through its entry point.
    if not pluginmanager.has_plugin("golden_root"):
        _pytest_plugin.pytest_addoption(parser)


def _vector_files(config, folder, pattern):
    """Vector files below the golden root; a missing or empty folder is an error, not a pass."""
    directory = (config.getoption("--golden-root") or TESTS / "golden") / folder
    files = sorted(directory.glob(pattern))
    if not files:
        raise pytest.UsageError(f"no {pattern} in {directory}")
    return files


VECTOR_FIXTURES = {
    "controller_file": ("controllers", "*.jsonl.gz"),
    "kernel_file": ("kernel", "*.csv.gz"),
    "membrane_file": ("membrane", "*.jsonl.gz"),
}


def pytest_generate_tests(metafunc):
    for fixture, (folder, pattern) in VECTOR_FIXTURES.items():
        if fixture in metafunc.fixturenames:
            files = _vector_files(metafunc.config, folder, pattern)
            metafunc.parametrize(
                fixture, files, ids=[path.name.removesuffix(pattern[1:]) for path in files]
            )
