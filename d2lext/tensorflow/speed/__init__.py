"""What makes TensorFlow faster: bfloat16, fused normalization, XLA on GPUs."""
