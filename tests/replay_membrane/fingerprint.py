"""Golden operations of header and canary."""

from membrane.blocks import fingerprint


class Replay:
    def __init__(self, init):
        pass

    def compute(self, addr, size, generation, other_addr):
        subject = fingerprint.compute(addr, size, generation)
        assert fingerprint.Fingerprint.from_bytes(subject.to_bytes()) == subject
        return {
            "hash": subject.hash,
            "header": subject.to_bytes().hex(),
            "canary": fingerprint.canary(subject).hex(),
            "verify": fingerprint.verify(subject, addr),
            "verify_other": fingerprint.verify(subject, other_addr),
        }

    def tamper(self, addr, header, byte, xor, canary_byte):
        untouched = bytes.fromhex(header)
        altered = bytearray(untouched)
        if byte < len(altered):
            altered[byte] ^= xor
        canary = fingerprint.canary(fingerprint.Fingerprint.from_bytes(untouched))
        altered_canary = bytearray(canary)
        if canary_byte < len(altered_canary):
            altered_canary[canary_byte] ^= xor
        subject = fingerprint.Fingerprint.from_bytes(bytes(altered))
        return {
            "hash": subject.hash,
            "generation": subject.generation,
            "size": subject.size,
            "verify": fingerprint.verify(subject, addr),
            "canary_of_tampered": fingerprint.canary(subject).hex(),
            "canary_verify": altered_canary == canary,
        }
