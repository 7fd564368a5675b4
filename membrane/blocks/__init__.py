"""Blocks of real memory: what stands around them, which one holds an address, how they end."""
