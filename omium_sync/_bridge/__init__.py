"""What carries the calls of any thread to the loop that runs them."""
