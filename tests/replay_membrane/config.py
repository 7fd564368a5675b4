"""Golden operations of the mode parsers."""

from membrane import config
from runtime_math.types import SafetyLevel


class Replay:
    def __init__(self, init):
        pass

    def parse(self, text):
        return {"loose": config.parse_loose(text), "env": config.parse_env(text)}

    def flags(self, mode):
        mode = SafetyLevel(mode)
        return {
            "heals_enabled": config.heals_enabled(mode),
            "validation_enabled": config.validation_enabled(mode),
        }

    def default(self):
        return {"ret": config.parse_env(None)}
