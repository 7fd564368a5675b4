"""Page permissions against real mappings, by both ways of asking."""

import ctypes
import mmap
import os

import pytest

from membrane.blocks import page_permissions
from membrane.blocks.page_permissions import accessible_span, mapping_around

PAGE = mmap.PAGESIZE
LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
NONE, READ, READ_WRITE = 0, mmap.PROT_READ, mmap.PROT_READ | mmap.PROT_WRITE


@pytest.fixture(params=["ioctl", "text"])
def pages(request, monkeypatch):
    """Four pages: all, read only, nothing, all."""
    if request.param == "text":
        monkeypatch.setattr(page_permissions._map_file, "answers", False)
    mapped = mmap.mmap(-1, 4 * PAGE)
    cell = ctypes.c_char.from_buffer(mapped)
    start = ctypes.addressof(cell)
    for page, protection in ((1, READ), (2, NONE)):
        assert LIBC.mprotect(start + page * PAGE, PAGE, protection) == 0
    yield start
    assert LIBC.mprotect(start, 4 * PAGE, READ_WRITE) == 0
    del cell
    mapped.close()


def test_spans_end_where_the_permission_does(pages):
    assert accessible_span(pages, 4 * PAGE) == 2 * PAGE
    assert accessible_span(pages, 4 * PAGE, writing=True) == PAGE
    assert accessible_span(pages + 10, 20, writing=True) == 20
    assert accessible_span(pages + PAGE - 1, 2, writing=True) == 1
    assert accessible_span(pages + PAGE, 1, writing=True) == 0
    assert accessible_span(pages + 2 * PAGE, 1) == 0
    assert accessible_span(pages + 3 * PAGE, PAGE, writing=True) == PAGE
    assert accessible_span(pages, 0) == 0


def test_ends_of_the_address_space(pages):
    assert mapping_around(0) is None
    assert mapping_around(2**64 - 1) is None
    assert accessible_span(2**64 - 1, 2**64 - 1) == 0


def test_a_closed_descriptor_is_opened_again(pages):
    if page_permissions._map_file.answers:
        mapping_around(pages)
        os.close(page_permissions._map_file.descriptor)
    assert mapping_around(pages).writable


def test_a_child_asks_about_itself(pages):
    mapping_around(pages)
    child = os.fork()
    if child == 0:
        LIBC.mprotect(pages, PAGE, READ)
        os._exit(int(accessible_span(pages, 1, writing=True)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert accessible_span(pages, 1, writing=True) == 1
