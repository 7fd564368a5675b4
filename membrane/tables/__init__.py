"""Words of real memory, and tables in the C heap that jitted code can grow."""
