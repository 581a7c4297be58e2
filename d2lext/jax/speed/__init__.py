"""What makes JAX faster: alternatives to what XLA computes slowly on a CPU."""
