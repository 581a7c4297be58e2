"""Training without a framework: the loop, and what goes on around it."""
