"""The membrane is a typed package: what a type checker says about a program that uses it."""

import importlib
import inspect
import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import membrane

ROOT = Path(membrane.__file__).parents[1]
USER = Path(__file__).with_name("membrane_user.py")
MISUSE = """
from membrane import ValidationPipeline

with ValidationPipeline() as pipeline, pipeline.allocate("64") as block:
    remaining: int = pipeline.validate(block).remaining
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


def test_a_typed_program_has_no_errors(checked):
    result = checked(USER)
    assert result.returncode == 0, result.stdout + result.stderr


def test_misuse_is_found(checked, tmp_path):
    program = tmp_path / "misuse.py"
    program.write_text(MISUSE)
    result = checked(program)
    assert "misuse.py:4: error" in result.stdout
    assert "misuse.py:5: error" in result.stdout


def modules():
    names = [module.name for module in pkgutil.walk_packages(membrane.__path__, "membrane.")]
    return [importlib.import_module(name) for name in names]


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
