"""Data sets: downloaded, verified, resized, shuffled into minibatches."""
