"""What a reader of Dive into Deep Learning 1.0.3 runs, in each framework.

Each module has d2l's data pipeline, DenseNet and training loop, without what the loop does
not use; a comment beginning "Repair:" marks where d2l's code no longer runs or trains a
different network. `start(images, labels)` returns an object with `batches()`, an epoch's
minibatches, `step(batch)` and `wait()`. Nothing of d2lext is imported, except for the
NumPy names that MXNet needs.

d2l reads each batch's loss for its plot. So do these modules, but they omit the drawing
itself, which d2l does twice per epoch.
"""
