"""The settings of a client: where they come from and what they may be."""
