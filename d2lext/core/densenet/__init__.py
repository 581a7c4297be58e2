"""What a DenseNet is in any framework: its layers, variants, weights, files."""
