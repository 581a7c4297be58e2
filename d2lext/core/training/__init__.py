"""Training without a framework: the loop, and everything around it."""
