"""What makes MXNet faster: a network's graph with faster operations, in bfloat16 too."""
