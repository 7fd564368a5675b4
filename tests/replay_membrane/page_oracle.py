"""Golden operations of the page oracle."""

from membrane.tables.page_oracle import PageOracle


class Replay:
    def __init__(self, init):
        self.pages = PageOracle(wraps=True)

    def insert(self, base, size):
        self.pages.insert(base, size)
        return self._counts(base, size)

    def remove(self, base, size):
        self.pages.remove(base, size)
        return self._counts(base, size)

    def query(self, addr):
        return {"ret": self.pages.query(addr), "count": self.pages.count(addr)}

    def _counts(self, base, size):
        return {
            "first": self.pages.count(base),
            "last": self.pages.count((base + size - 1) % 2**64),
            "chunks": self.pages.chunk_count(),
        }
