"""The seven stages of a validation, and what they remember."""
