"""Settings and parameters of the whole suite."""

from hypothesis import HealthCheck, settings

# Compilation may happen inside an example, so no deadline; derandomised: repeatable.
settings.register_profile(
    "suite",
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


def _vector_files(config, folder, pattern):
    """Vector files below the golden root; where there are none, a test that fails says so."""
    chosen = config.getoption("--golden-root", None)
    base = config.rootpath if chosen is None else config.invocation_params.dir
    directory = base / (chosen or config.getini("golden_root")) / folder
    return sorted(directory.glob(pattern)) or [directory / pattern]


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


def pytest_runtest_setup(item):
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    for fixture in VECTOR_FIXTURES.keys() & parameters.keys():
        path = parameters[fixture]
        assert path.is_file(), f"there is no {path.name} in {path.parent}"
