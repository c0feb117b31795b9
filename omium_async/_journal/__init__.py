"""The memory of a batch that must survive its own death."""
