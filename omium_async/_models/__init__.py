"""What the service speaks of, and how it is read and written."""
