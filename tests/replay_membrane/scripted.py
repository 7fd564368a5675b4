"""The memory of a recorded run: addresses as recorded, bytes in a sparse store."""

from membrane.blocks.memory_source import MemorySource


class ScriptedSource(MemorySource):
    """Hands out the addresses it is told to; keeps only the bytes that were written."""

    def __init__(self):
        super().__init__()
        self.next_raw = None
        self.bytes = {}
        self.released = []

    def allocate(self, total, align):
        return self.next_raw

    def release(self, raw, total, align):
        self.released.append((raw, total, align))

    def load_word(self, address):
        return int.from_bytes(self.read(address, 8), "little")

    def store_word(self, address, word):
        self.write(address, word.to_bytes(8, "little"))

    def read(self, address, size):
        return bytes(self.bytes.get(address + offset, 0) for offset in range(size))

    def write(self, address, data):
        self.bytes.update(enumerate(data, address))
