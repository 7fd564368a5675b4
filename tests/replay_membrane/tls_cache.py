"""Golden operations of the validation cache."""

from membrane.stages.tls_cache import ValidationCache


class Replay:
    def __init__(self, init):
        self.cache = ValidationCache()

    def lookup(self, addr):
        block = self.cache.lookup(addr)
        return {
            "ret": None if block is None else list(block),
            "hits": self.cache.hits,
            "misses": self.cache.misses,
        }

    def insert(self, addr, user_base, user_size, generation, state):
        return {"index": self.cache.insert(addr, user_base, user_size, generation, state)}

    def invalidate(self, user_base):
        self.cache.invalidate(user_base)
        return {}

    def invalidate_all(self):
        self.cache.invalidate_all()
        return {}
