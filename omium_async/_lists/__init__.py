"""Lists that miss no row: every execution once, however the list changes while it is read."""

from .streams import Batch, named, stream_batches, stream_groups, stream_pages, stream_rows, windows

__all__ = ["Batch", "named", "stream_batches", "stream_groups", "stream_pages", "stream_rows", "windows"]
