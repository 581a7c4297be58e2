"""What makes MXNet faster: a network's graph, computed in bfloat16."""
