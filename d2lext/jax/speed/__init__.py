"""What makes JAX faster: XLA's slow operations on a CPU, written in other ways."""
