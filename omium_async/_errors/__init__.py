"""Errors, with the outcome of the write that failed."""
