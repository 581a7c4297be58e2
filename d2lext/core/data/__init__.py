"""Data sets: downloaded, checked, resized, shuffled into minibatches."""
