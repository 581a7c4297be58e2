"""d2l's data pipeline for TensorFlow and JAX."""

import numpy as np

try:
    import tensorflow as tf
except ImportError:  # JAX alone
    tf = None


def batches(images, labels, batch_size, resize):
    """The data set as d2l makes it, from images (n, 28, 28) uint8 and their labels.

    It shuffles batches, not images, and buffers all of them, resized, before it yields
    the first.

    Repair: without TensorFlow, JAX gets the same batches from NumPy, resized in advance.
    This takes less time than d2l's, which resizes them in each epoch.
    """
    if tf is None:
        return Resized(images, labels, batch_size, resize)
    X, y = tf.expand_dims(images, axis=3) / 255, tf.cast(labels, dtype="int32")
    data = tf.data.Dataset.from_tensor_slices((X, y)).batch(batch_size)
    data = data.map(lambda X, y: (tf.image.resize_with_pad(X, *resize), y))
    return data.shuffle(len(images))


class Resized:
    """The data set in NumPy, as JAX reads it."""

    def __init__(self, images, labels, batch_size, resize):
        from PIL import Image

        height, width = resize
        self.X = np.stack(
            [
                np.asarray(
                    Image.fromarray(image).resize(
                        (width, height), Image.Resampling.BILINEAR
                    )
                )
                for image in images
            ]
        )[..., None]
        self.y, self.batch_size = labels.astype(np.int32), batch_size

    def as_numpy_iterator(self):
        """An epoch's batches, X (n, h, w, 1) float32 in [0, 1] and y (n,)."""
        starts = range(0, len(self.y), self.batch_size)
        for start in np.random.default_rng().permutation(starts):
            part = slice(start, start + self.batch_size)
            yield self.X[part].astype(np.float32) / 255, self.y[part]
