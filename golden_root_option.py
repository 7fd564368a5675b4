"""The option ``--golden-root DIR`` for pytest, in this checkout and nowhere else.

pytest asks a conftest for its options only after it has guessed which words of the command line
are paths. It takes DIR for one of them, looks for the suite there, and never finds a conftest that
knows better; a plugin is asked before. So that users of the package do not have the plugin in a
pytest of their own, no package announces it, but the folder ``runtime_math.dist-info`` beside this
file does, wherever the checkout is on Python's path: for ``python -m pytest``, and after
``pip install -e``. ``pytest -o golden_root=DIR`` needs none of this (see ``conftest.py``).
"""


def pytest_addoption(parser):
    """Add the option."""
    parser.addoption(
        "--golden-root",
        metavar="DIR",
        help="folder of golden vectors: controllers/, kernel/ and membrane/ "
        "(default: the ones kept with the tests)",
    )
