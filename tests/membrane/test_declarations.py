"""The language of declarations: what it says, what it refuses, and that it reads as it is typed."""

import ctypes
import ctypes.util
import re
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from membrane import declarations
from membrane.declarations import (
    DeclarationError,
    Function,
    In,
    InOut,
    Out,
    borrowed,
    bytecount,
    callback,
    count,
    into,
    pointer_to,
    printf,
    read_declarations,
    resource,
    shipped_declarations,
    structure,
    terminated,
    terminated_within,
)
from membrane.declarations.expressions import read_expression
from membrane.declarations.reader import SHIPPED, read_word

LIBRARIES = {"libc": None, "zlib": "libz.so.1", "sqlite3": "libsqlite3.so.0"}
C_INT, C_ULONG, C_VOID_P = ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p


class Values:
    """Numbers for expressions."""

    def __init__(self, **numbers):
        self.numbers = numbers

    def number(self, name):
        return self.numbers[name]

    def pointee(self, name):
        return self.numbers[name] + 1

    def field(self, name, field):
        return self.numbers[name] + len(field)

    def string_length(self, name, limit, wide):
        return self.numbers[name] if limit is None else min(limit, self.numbers[name])


# --- expressions ----------------------------------------------------------------------------------

numbers = st.integers(-(2**40), 2**40)
operators = st.sampled_from(["+", "-", "*", "<", "<=", "==", "!=", ">", ">="])
texts = st.recursive(
    st.one_of(st.integers(0, 99).map(str), st.sampled_from(["a", "b", "c"])),
    lambda inner: st.one_of(
        st.tuples(inner, operators, inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-({})".format),
        st.tuples(inner, inner).map("max({0[0]}, {0[1]})".format),
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=300)
@given(texts, numbers, numbers, numbers)
def test_an_expression_has_the_value_that_python_gives_it(text, a, b, c):
    chained = re.search(r"[<>=!]=?[^()]*[<>=!]=?", text)
    if chained:  # Python reads `a < b < c` in its own way
        return
    found = read_expression(text).evaluate(Values(a=a, b=b, c=c))
    assert found == int(eval(text, {"a": a, "b": b, "c": c, "max": max}))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("*a", 11),
        ("2 * *a", 22),
        ("a * *b", 210),
        ("s->field + s.x", 20),
        ("strlen(a) + strnlen(b, 7) + wcslen(c)", 10 + 7 + 30),
        ("a / 3", 3),
        ("-a / 3", -3),
        ("-a % 3", -1),
        ("a / 0", 0),
        ("a % 4", 2),
        ("a == 10 && b != 20 || c > 1", 1),
        ("(a == 10) + (b == 0)", 1),
        ("min(a, b) - c", -20),
        ("return - 1", 4),
    ],
)
def test_expressions_as_c_writes_them(text, value):
    numbers = {"a": 10, "b": 20, "c": 30, "s": 7, "return": 5}
    assert read_expression(text).evaluate(Values(**numbers)) == value


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        ("", "too early"),
        ("a +", "too early"),
        ("a b", "'b' comes after"),
        ("(a", "is missing"),
        ("a ** b", ""),
        ("sizeof(a)", "sizeof is none of"),
        ("a $ b", "no part of one"),
        ("a->4", "is no field"),
        ("__import__('os')", "no part of one|is none of"),
    ],
)
def test_what_is_no_expression_is_refused(text, mentions):
    if text == "a ** b":
        assert read_expression(text).evaluate(Values(a=2, b=3)) == 8  # a times what b points to
        return
    with pytest.raises(ValueError, match=mentions):
        read_expression(text)


# --- words ----------------------------------------------------------------------------------------

IOVEC = structure("iovec", iov_base=Out(bytecount("iov_len")), iov_len=C_ULONG)
WORDS = [
    In(bytecount("n")),
    Out(count("n", ctypes.c_double), written="return", nullable=True, clamp=True),
    InOut(C_ULONG),
    In(terminated),
    In(terminated(ctypes.c_wchar), nullable=True),
    In(terminated_within("n")),
    In(bytecount("n", negative=terminated)),
    In(count("n", IOVEC)),
    InOut(IOVEC, begins="return == 0"),
    In(count("n", In(terminated))),
    In(terminated, lifetime="statement[n]", lifetime_if="return == 0"),
    resource("FILE"),
    resource("FILE", begins=True, owner="n"),
    resource("malloc", size=bytecount("n"), nullable=True, ends="return != 0"),
    borrowed(terminated, "n", nullable=False),
    borrowed(None, "n"),
    into("n"),
    pointer_to(In(bytecount("*n"), nullable=True), nullable=True),
    pointer_to(resource("sqlite3", begins=True)),
    callback(C_INT, C_VOID_P, nullable=True, lifetime="n"),
    callback(None, C_VOID_P),
    printf("n"),
    ctypes.c_char * 64,
]


@pytest.mark.parametrize("word", WORDS, ids=repr)
def test_a_word_reads_as_it_is_typed(word):
    from membrane.declarations.spelling import spelled

    assert read_word(spelled(word), {"iovec": IOVEC}) == word


def test_a_structure_reads_as_it_is_typed():
    assert read_word(repr(IOVEC)) == IOVEC
    assert ctypes.sizeof(IOVEC.ctype) == 16


@pytest.mark.parametrize("name", SHIPPED)
def test_a_function_reads_as_it_is_typed(name):
    vocabulary = {word: getattr(declarations, word) for word in declarations.__all__}
    vocabulary |= {word: kind for word, kind in vars(ctypes).items() if word.startswith("c_")}
    for function in shipped_declarations(name).values():
        structures = {
            word.element.reference: word.element
            for word in function.arguments.values()
            if isinstance(getattr(word, "element", None), structure)
        }
        families = {family.name: family for family in [function.family]}
        assert eval(repr(function), {**vocabulary, **structures, **families}) == function


@pytest.mark.parametrize(
    ("make", "mentions"),
    [
        (lambda: In(16), "bytecount"),
        (lambda: In(bytecount("n"), written="n"), "not written"),
        (lambda: In(bytecount("n"), begins=True), "structures and resources"),
        (lambda: Function(a=In(bytecount("size"))), r"a: 'size' is no argument .*\(a\)"),
        (lambda: Function(a=In(bytecount("*n")), n=C_INT), "needs n to point to"),
        (lambda: Function(a=In(bytecount("s->x")), s=In(IOVEC)), "iovec has no field 'x'"),
        (lambda: Function(a=In(bytecount("n->x")), n=C_INT), "points to no structure"),
        (lambda: Function(a=In(bytecount("return"))), "not known before the call"),
        (lambda: Function(a=C_INT, returns=In(terminated)), "is no result"),
        (lambda: Function(a=into("a")), "is a result, no argument"),
        (lambda: Function(a=int), "neither a ctypes type nor a word"),
        (lambda: Function(a=IOVEC), r"passed by a pointer: InOut\(iovec\)"),
        (lambda: Function(returns=into("s")), "'s' is no argument"),
        (lambda: Function(a=C_INT, no_overlap=("a", "b")), "no_overlap: 'b'"),
        (lambda: Function(a=In(terminated, lifetime="a b")), 'must be "name"'),
        (lambda: Function(a=In(terminated, lifetime="x[i]")), "'i' is no argument"),
        (lambda: Function(variadic=printf("format")), "'format' is no argument"),
        (lambda: Function(a=C_INT, family=3), "ApiFamily"),
        (lambda: callback(int), "types of ctypes"),
        (lambda: structure("empty"), "no fields"),
        (lambda: pointer_to(C_INT), "takes no c_int"),
        (lambda: terminated(C_INT), "c_char or c_wchar"),
        (lambda: resource(""), "kind"),
        (lambda: shipped_declarations("glibc"), "libc, sqlite3, zlib"),
    ],
)
def test_a_wrong_declaration_says_what_is_wrong(make, mentions):
    with pytest.raises((TypeError, ValueError), match=mentions):
        make()


# --- files ----------------------------------------------------------------------------------------

HEAD = """\
[structures]
iovec = 'structure("iovec", iov_base=Out(bytecount("iov_len")), iov_len=c_size_t)'

[functions.readv]
fd = 'c_int'
iov = 'In(count("iovcnt", iovec))'
iovcnt = 'c_int'
returns = 'c_ssize_t'
"""


def read(tmp_path, text):
    path = tmp_path / "library.toml"
    path.write_text(textwrap.dedent(text))
    return read_declarations(path)


def test_a_file_says_what_python_says(tmp_path):
    found = read(tmp_path, HEAD)["readv"]
    assert found.names == ("fd", "iov", "iovcnt")
    assert found.arguments["iov"].element == IOVEC and found.returns is ctypes.c_ssize_t


@pytest.mark.parametrize(
    ("text", "line", "mentions"),
    [
        ("[functions.f\n", 1, "Expected"),
        ("[functions.f]\na = 'c_int'\na = 'c_int'\n", 3, "overwrite"),
        ("[functions.f]\na = 'c_int'\nb = \n", 3, "Invalid value"),
        ("[function.f]\na = 'c_int'\n", 1, "structures and functions"),
        ("[functions]\nf = 3\n", 2, "must be a table"),
        ("functions = 3\n", 1, "must be a table"),
        ("[functions.f]\n\na = 'c_itn'\n", 3, "'c_itn' is neither a word"),
        ("[functions.f]\na = 'In(bytecount(\"n\")'\n", 2, "is no declaration"),
        ("[functions.f]\na = 'In(bytecount(\"n\"))'\n", 2, "'n' is no argument"),
        ("[functions.f]\na = 'In(bytecount(\"n +\"))'\nn = 'c_int'\n", 2, "too early"),
        ("[functions.f]\na = '__import__(\"os\")'\n", 2, "neither a word"),
        ("[functions.f]\na = 'In(terminated).size'\n", 2, "no word of declarations"),
        ("[functions.f]\na = 'c_int(3)'\n", 2, "takes nothing in parentheses"),
        ("[functions.f]\na = 'In(terminated, null=True)'\n", 2, "null"),
        ("[functions.f]\na = 4\n", 2, "must be a text"),
        ("[functions.f]\na = 'c_int'\nno_overlap = 'a'\n", 3, "list of names"),
        ("[functions.f]\na = 'c_int'\nno_overlap = ['a', 'b']\n", 3, "'b' is no argument"),
        ("[functions.f]\na = 'c_int'\nfamily = 'MALLOC'\n", 3, "ALLOCATOR"),
        ("[structures]\ns = 'c_int'\n", 2, "must be a structure"),
        (HEAD + "\n[functions.g]\na = 'InOut(iovce)'\n", 11, "'iovce' is neither"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path, text, line, mentions):
    with pytest.raises(DeclarationError, match=mentions) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'library.toml'}:{line}: ")


def test_a_file_that_is_no_text(tmp_path):
    path = tmp_path / "library.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(DeclarationError, match="UTF-8"):
        read_declarations(path)
    with pytest.raises(FileNotFoundError):
        read_declarations(tmp_path / "none.toml")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_declaration_is_one_of_a_function_that_there_is(name):
    library = ctypes.CDLL(LIBRARIES[name])
    for function in shipped_declarations(name):
        assert library[function], function
