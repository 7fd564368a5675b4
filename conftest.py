"""The setting ``golden_root`` for pytest, as in ``pytest -o golden_root=DIR``."""


def pytest_addoption(parser):
    parser.addini(
        "golden_root",
        "folder of golden vectors: controllers/, kernel/ and membrane/",
        default="tests/golden",
    )
