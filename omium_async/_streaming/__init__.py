"""Lists that lose nothing: every execution once, however the list changes while it is read."""
