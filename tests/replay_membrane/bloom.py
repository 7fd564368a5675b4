"""Golden operations of the Bloom filter."""

from membrane.tables.bloom import BloomFilter, sizing


class Replay:
    def __init__(self, init):
        if init:
            self.filter = BloomFilter(expected=init["expected"], fp_rate=init["fp_rate"])
            assert self.filter.bit_count == init["num_bits"]
            assert self.filter.hash_count == init["num_hashes"]

    def with_capacity(self, expected, fp_rate):
        bits, hashes = sizing(expected, fp_rate)
        return {"num_bits": bits, "num_hashes": hashes}

    def insert(self, addr):
        self.filter.insert(addr)
        return {"indices": self.filter.indices(addr), "ones": self.filter.ones}

    def might_contain(self, addr):
        return {"ret": self.filter.might_contain(addr)}

    def ones(self):
        return {"ret": self.filter.ones()}
