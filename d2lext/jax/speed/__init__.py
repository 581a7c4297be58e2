"""What makes JAX faster: other ways to compute what XLA computes slowly on a CPU."""
