"""The online monitors: one controller per file, all of one shape (see `base`)."""
