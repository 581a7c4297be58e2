"""What makes TensorFlow faster: bfloat16, and fused normalization."""
