"""What `omiumctl demo` tells and does."""
