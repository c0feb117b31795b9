"""Batches: many calls at once, none of them twice, none of them lost."""
