"""What a reader of Dive into Deep Learning 1.0.3 runs, in each framework.

Each module has d2l's data pipeline, DenseNet and training loop, rewritten without what
the loop does not use; a comment beginning "Repair:" marks where d2l's code does not run
today or trains another network. `start(images, labels)` returns an object with
`batches()`, an epoch's minibatches, `step(batch)` and `wait()`. Nothing of d2lext is
imported, except for the NumPy names that MXNet needs.

d2l reads the loss of each batch for its plot. So do these; they omit the drawing itself,
which comes twice an epoch.
"""
