"""Lists that miss no row: every execution once, however the list changes while it is read."""

from .streams import Batch, batches, named, pages, rows

__all__ = ["Batch", "batches", "named", "pages", "rows"]
