"""Names of compiled functions, against Numba's own mangler."""

import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numba import types
from numba.core import itanium_mangler

from profiling import names

identifiers = st.from_regex(r"[A-Za-z_é][A-Za-z0-9_é]{0,8}", fullmatch=True)
scopes = st.lists(
    st.one_of(identifiers, st.sampled_from(["<locals>", "<lambda>", "<listcomp>"])), max_size=4
)


@example(["decide"], [], "decide_detail", 1)
@given(st.lists(identifiers, min_size=1, max_size=3), scopes, identifiers, st.integers(0, 99))
def test_mangled_names_come_back(module, scope, function, number):
    path = ".".join([*module, *scope, function])
    arguments = (types.int64, types.Array(types.float64, 1, "C"))
    symbol = itanium_mangler.mangle(path, arguments, abi_tags=("c8tJ",), uid=number)
    assert names.demangle(symbol) == (path, "")
    wrapped = itanium_mangler.prepend_namespace(symbol, "cpython")
    assert names.demangle(wrapped) == (path, "called from Python")
    assert names.demangle("cfunc." + symbol) == (path, "C callback")


@pytest.mark.parametrize("digest", ["bd29386a96d0", "4164aafcd0b8"])
def test_a_digest_behind_a_name_is_left_out(digest):
    symbol = itanium_mangler.mangle(f"package.decide.{digest}", (types.int64,), uid=3)
    assert names.demangle(symbol).path == "package.decide"


def outer():
    def inner():
        return 1

    return inner


def test_definition_lines_are_those_of_the_source():
    inner = outer()
    found = names.definition_lines(__file__)
    for function in (outer, inner, test_definition_lines_are_those_of_the_source):
        assert found[function.__qualname__] == function.__code__.co_firstlineno
    assert names.definition_line(__file__, "outer.<locals>.no_such") == found["outer"]
    assert names.definition_line("no-such-file.py", "outer") == 0


def test_longest_module_wins():
    modules = {"xml", "xml.dom", "sys"}
    assert names.split_module("xml.dom.minidom.parse", modules) == ("xml.dom", "minidom.parse")
    assert names.split_module("parse", sys.modules) == ("", "parse")
