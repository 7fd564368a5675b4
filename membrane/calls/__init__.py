"""C functions that are called only with pointers that have been validated."""
