"""Lists that miss no row: every execution once, however the list changes while it is read."""
