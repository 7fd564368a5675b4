"""The kernel as the original decides: its record, one decision, one outcome, the snapshot."""
