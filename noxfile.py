"""Long checks that a change is held to before a release: ``nox -l`` lists them.

``nox -s tests-3.12 -- numba=0.61`` runs the suite on one Python with one release of Numba;
``nox -s matrix`` runs the parts that depend on Numba on every supported release.
"""

import shutil
import sys
from pathlib import Path

import nox

PYTHONS = ("3.11", "3.12", "3.13")
# Releases of Numba that are tested; the oldest and the newest bound the range in pyproject.toml.
NUMBAS = ("0.60", "0.61", "0.62", "0.63", "0.64", "0.65", "0.66", "0.67", "0.68")
# What a release of Numba can break: the compiler, the kernel, the membrane, the policy.
DEPENDS_ON_NUMBA = (
    "tests/numerics",
    "tests/kernel",
    "tests/calibrated/test_kernel.py",
    "tests/test_golden_kernel.py",
    "tests/test_golden_membrane.py",
)

_USE_OF_A_WHEEL = """
import importlib.metadata, importlib.resources, membrane, runtime_math
names = {path.parts[0] for path in importlib.metadata.files("runtime-math")}
assert {"runtime_math", "membrane"} <= names and "tests" not in names, names
for package in (membrane, runtime_math):
    assert importlib.resources.files(package).joinpath("py.typed").is_file(), package
with membrane.ValidationPipeline() as pipeline, pipeline.allocate(64) as block:
    assert pipeline.validate(block).remaining == 64
"""

nox.options.sessions = ["tests-3.11"]
nox.options.default_venv_backend = "uv|virtualenv"


def _numba_pins(arguments):
    """Split ``numba=0.61`` off the arguments for pytest."""
    pins = [f"numba=={a.removeprefix('numba=')}.*" for a in arguments if a.startswith("numba=")]
    return pins, [a for a in arguments if not a.startswith("numba=")]


def _install(session, pins):
    session.install("-e", ".[test]", *pins)
    session.env["NUMBA_CACHE_DIR"] = session.create_tmp()
    session.run("python", "-c", "import numba; print('Numba', numba.__version__)")


@nox.session(python=PYTHONS)
def tests(session):
    """The whole suite; ``-- numba=0.61`` chooses a release of Numba, the rest goes to pytest."""
    pins, arguments = _numba_pins(session.posargs)
    _install(session, pins)
    session.run("python", "-m", "pytest", "-q", "-n", "2", *arguments)


@nox.session(python=PYTHONS[0])
@nox.parametrize("numba", NUMBAS)
def matrix(session, numba):
    """What depends on Numba, on every release of it."""
    _install(session, [f"numba=={numba}.*"])
    session.run("python", "-m", "pytest", "-q", "-n", "2", *DEPENDS_ON_NUMBA, *session.posargs)


@nox.session(python=PYTHONS[0])
def plain(session):
    """The kernel without this project's use of Numba's internals: the same results, slowly."""
    _install(session, [])
    session.env["RUNTIME_MATH_PLAIN_NUMBA"] = "1"
    session.run("python", "-m", "pytest", "-q", "-n", "2", "tests/test_golden_kernel.py")


@nox.session(python=PYTHONS)
def wheel(session):
    """The distributions: built, looked into, and used where there is no checkout."""
    session.install("build")
    shutil.rmtree("dist", ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", "dist", ".")
    (built,) = Path("dist").glob("*.whl")
    session.install("--force-reinstall", str(built))
    session.cd(session.create_tmp())
    session.run("python", "-P", "-m", "runtime_math", "compile")
    session.run("python", "-P", "-m", "runtime_math", "explain", "--mode", "hardened")
    session.run("python", "-P", "-c", _USE_OF_A_WHEEL)


@nox.session(python=PYTHONS[0])
def soak(session):
    """Guards for a long time: 600,000 calls beside plain libc, a million blocks in 8 threads."""
    _install(session, [])
    for mode in ("strict", "hardened"):
        session.run("python", "-m", "tests.membrane.differential", "300000", mode, "1")
        session.run("python", "-m", "tests.membrane.declared_differential", "120000", mode, "1")
        session.run("python", "-m", "tests.membrane.soak", "500000", mode)


@nox.session(python=False)
def conformance(session):
    """Every golden trace of a folder: ``nox -s conformance -- DIR``."""
    session.run(sys.executable, "-m", "runtime_math", "conformance", *session.posargs)
