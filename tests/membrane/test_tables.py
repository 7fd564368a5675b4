"""The hash table against a dict, and the page index against a linear search."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from membrane.tables import hash_map, page_index

# Keys that collide: few distinct values, and neighbours.
keys = st.integers(0, 60).map(lambda n: n * 2**58 % (2**64 - 1)) | st.integers(0, 200)


@given(st.lists(st.tuples(st.sampled_from("srf"), keys, st.integers(0, 2**64 - 2)), max_size=300))
def test_table_is_a_dict(steps):
    storage = np.zeros(1, hash_map.HASH_MAP)
    model = {}
    for step, key, value in steps:
        if step == "s":
            assert hash_map.store(storage[0], np.uint64(key), np.uint64(value))
            model[key] = value
        elif step == "r":
            assert hash_map.remove(storage[0], np.uint64(key)) == (model.pop(key, None) is not None)
        found = int(hash_map.find(storage[0], np.uint64(key)))
        assert found == model.get(key, int(hash_map.MISSING))
    assert storage[0]["count"] == len(model)
    for key, value in model.items():
        assert hash_map.find(storage[0], np.uint64(key)) == value
    hash_map.release(storage[0])


# Gaps and sizes from a granule to several chunks of 16 MiB.
lengths = st.sampled_from(
    [16, 1024, 4096, 16384, 65536, 2**18 - 4096, 2**18 + 16, 2**24, 5 * 2**24 + 4096]
) | (st.integers(1, 4000).map(lambda n: n * 16))


@given(st.lists(st.tuples(lengths, lengths), min_size=1, max_size=25), st.data())
def test_every_address_finds_its_block(layout, data):
    storage = np.zeros(1, page_index.STATE)
    index = storage[0]
    blocks, start = {}, 0x7000_0000_0000
    for identity, (gap, size) in enumerate(layout):
        start += gap
        blocks[identity] = (start, size)
        assert page_index.insert(index, np.uint64(start), np.uint64(size), np.uint64(identity))
        start += size
    for identity in data.draw(st.sets(st.sampled_from(sorted(blocks)))):
        first, size = blocks.pop(identity)
        page_index.remove(index, np.uint64(first), np.uint64(size), np.uint64(identity))
    probes = [0, 16, 0x7000_0000_0000, start, start + 2**25, 2**64 - 1]
    for first, size in blocks.values():
        probes += [first - 1, first, first + size // 2, first + size - 1, first + size]
    for address in probes:
        found = int(page_index.candidate(index, np.uint64(address)))
        if found != int(page_index.NONE) and not address - sum(blocks[found]) < 0:
            found = int(page_index.NONE)
        expected = [i for i, (first, size) in blocks.items() if first <= address < first + size]
        assert found == (expected[0] if expected else int(page_index.NONE))
    page_index.release(index)
