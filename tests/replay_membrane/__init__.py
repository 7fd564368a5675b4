"""How the operations and fields of the golden vectors map to each component, one module each."""
