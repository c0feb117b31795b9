"""One HTTP call that tells the truth about what became of it."""
