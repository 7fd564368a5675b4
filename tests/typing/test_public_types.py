"""Typed packages: what type checkers say about programs that use them."""

import importlib.util
import inspect
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import membrane
import profiling
import runtime_math
from runtime_math import evaluation, scenarios

ROOT = Path(membrane.__file__).parents[1]
HERE = Path(__file__).parent
USERS = sorted(HERE.glob("*_user.py"))
WHOLE_PACKAGES = (membrane, profiling, scenarios, evaluation)
# The recorder's hooks run in programs of any kind, and around Numba's own functions.
WITHOUT_ANNOTATIONS = ("profiling.bootstrap",)
MISUSE = """
from membrane import ValidationPipeline

with ValidationPipeline() as pipeline, pipeline.allocate("64") as block:
    remaining: int = pipeline.validate(block).remaining

from runtime_math import RuntimeContext, RuntimeMathKernel

kernel = RuntimeMathKernel("strict")
risk: str = kernel.decide(0, RuntimeContext(1, 64)).risk_upper_bound_ppm
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Run mypy in strict mode on a file."""
    pytest.importorskip("mypy")
    cache = tmp_path_factory.mktemp("mypy")
    options = ["--strict", "--follow-imports=silent", "--config-file=", f"--cache-dir={cache}"]

    def run(path):
        command = [sys.executable, "-m", "mypy", *options, path]
        environment = {**os.environ, "MYPYPATH": str(ROOT)}
        return subprocess.run(command, cwd=cache, env=environment, capture_output=True, text=True)

    return run


@pytest.mark.parametrize("user", USERS, ids=lambda path: path.stem)
@pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None or shutil.which("node") is None,
    reason="pyright is not installed",
)
def test_pyright_agrees(user):
    """Each program asks for strict checks in its first line."""
    command = [sys.executable, "-m", "pyright", user]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("user", USERS, ids=lambda path: path.stem)
def test_a_typed_program_has_no_errors(checked, user):
    result = checked(user)
    assert result.returncode == 0, result.stdout + result.stderr


def test_misuse_is_found(checked, tmp_path):
    program = tmp_path / "misuse.py"
    program.write_text(MISUSE)
    result = checked(program)
    found = [line.split(":")[1] for line in result.stdout.splitlines() if ": error:" in line]
    assert found == ["4", "5", "9", "10"]


def modules():
    """Modules that people import from: whole packages, and homes of what `runtime_math` offers."""
    names = {
        module.name
        for package in WHOLE_PACKAGES
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not module.name.startswith(WITHOUT_ANNOTATIONS) and not module.name.endswith("__main__")
    }
    names |= {f"runtime_math.{home}" for home in runtime_math._MODULE_OF.values()}
    return [importlib.import_module(name) for name in sorted(names)]


def functions_of(module):
    """Public functions and methods that are defined in a module, and not compiled."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            for attribute, member in vars(value).items():
                function = member.fget if isinstance(member, property) else member
                function = getattr(function, "__func__", function)
                is_public = not attribute.startswith("_") or attribute == "__init__"
                if is_public and inspect.isfunction(function):
                    yield f"{name}.{attribute}", function


def test_public_signatures_are_complete():
    seen = 0
    for module in modules():
        for name, function in functions_of(module):
            if function.__code__.co_filename != module.__file__:
                continue  # made by a decorator of the standard library
            signature = inspect.signature(function)
            missing = [
                parameter.name
                for parameter in list(signature.parameters.values())
                if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
            ]
            if signature.return_annotation is signature.empty:
                missing.append("return")
            assert not missing, f"{module.__name__}.{name}: {missing}"
            seen += 1
    assert seen > 120
