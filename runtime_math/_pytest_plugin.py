"""The option ``--golden-root`` for pytest, which must be known before tests are collected."""

from pathlib import Path


def pytest_addoption(parser):
    """Add ``--golden-root DIR``: a folder with controllers/, kernel/ and membrane/ vectors."""
    parser.addoption(
        "--golden-root",
        type=Path,
        default=None,
        help="folder of golden vectors (default: the ones kept with the tests)",
    )
