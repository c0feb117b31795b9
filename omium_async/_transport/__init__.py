"""Make one HTTP call, and report the outcome of its write."""
