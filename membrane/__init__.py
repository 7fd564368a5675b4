"""Pointer validation over real memory: what a memory layer puts in front of every pointer use."""
