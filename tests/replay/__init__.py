"""How the operations and fields of the golden vectors map to each monitor, one module each."""
