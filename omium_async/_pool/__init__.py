"""Tasks that pull their work from an iterator, and how many of them may be at it."""
