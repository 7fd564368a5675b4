"""Runtime math kernel: microsecond decisions about how deeply to check a call."""
