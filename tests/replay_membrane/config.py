"""Golden operations of the mode parsers.

The environment's words are the package's; that a program may also ask for off by a word, and what
a mode does, is stated here: the package takes a `SafetyLevel` instead.
"""

from runtime_math.config import parse_mode
from runtime_math.types import SafetyLevel

OFF_WORDS = ("off", "none", "disabled")


class Replay:
    def __init__(self, init):
        pass

    def parse(self, text):
        loose = SafetyLevel.OFF if text.lower() in OFF_WORDS else parse_mode(text)
        return {"loose": loose, "env": parse_mode(text)}

    def flags(self, mode):
        return {
            "heals_enabled": mode == SafetyLevel.HARDENED,
            "validation_enabled": mode != SafetyLevel.OFF,
        }

    def default(self):
        return {"ret": parse_mode(None)}
