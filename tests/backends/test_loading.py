"""The first import of each framework: quiet, whatever else the process has imported."""

import pytest
from shared.processes import python
from shared.selected import d2l_or_skip, in_backends

from d2lext.core.frameworks import IDS

TRAINS = """
from d2lext import {backend} as d2l
import numpy as np
d2l.Trainer(max_epochs=1, num_gpus=1)
model = d2l.create_model("densenet_d2l", arch=(1,), num_channels=8, growth_rate=4)
d2l.examine(model, np.zeros((2, 1, 16, 16), np.float32), np.array([0, 1]))
"""
AND = {
    "mxnet": "model.hybridize(static_alloc=True)\n"
    "from mxnet import autograd, np\n"
    "with autograd.record():\n"
    "    loss = model.loss(model(np.zeros((2, 1, 16, 16))), np.array([0, 1]))\n"
    "loss.backward()\n"
    "model.configure_optimizers().step(1)",
    "tensorflow": "import keras\nassert keras.config.backend() == 'tensorflow'",
}


@in_backends(*IDS, slow=["torch", "jax", "tensorflow"])
def test_a_process_that_trains_prints_nothing_and_ends_well(backend):
    result = python(
        TRAINS.format(backend=backend) + AND.get(backend, ""),
        # TensorFlow itself warns of what it uses.
        PYTHONWARNINGS=None if backend == "tensorflow" else "error",
        TF_CPP_MIN_LOG_LEVEL=None,
        KERAS_BACKEND="jax",
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


BARE = """
import functools, sys
NOT_NEEDED = "h5py IPython matplotlib matplotlib_inline pooch requests".split()
sys.modules.update(dict.fromkeys(NOT_NEEDED))  # none of them can be imported
import numpy as np
from d2lext import {backend} as d2l
from d2lext.core.data.minibatches import Batches

class Images(d2l.DataModule):
    def get_dataloader(self, train):
        convert = functools.partial(d2l.FashionMNIST.to_tensors, self)
        pixels, labels = np.zeros((8, 16, 16), np.uint8), np.arange(8)
        return Batches(pixels, labels, 4, train, self.seed, convert)

model = d2l.create_model("densenet_d2l", arch=(1,), num_channels=8, growth_rate=4)
trainer = d2l.Trainer(max_epochs=1)
trainer.fit(model, Images())
assert trainer.history and model.board.data
"""


@pytest.mark.slow
@in_backends("torch", "jax")  # the others import some of it themselves
def test_training_needs_little_beside_the_framework(backend):
    """On a machine for GPUs only the frameworks may be installed."""
    result = python(BARE.format(backend=backend))
    assert result.returncode == 0, result.stderr


AGREE = """
import numpy
import jax.numpy, mxnet, tensorflow, torch
a = numpy.random.default_rng(0).random((64, 64), dtype=numpy.float32)
b = mxnet.np.array(a, dtype=a.dtype)
products = [
    torch.from_numpy(a) @ torch.from_numpy(a),
    mxnet.np.dot(b, b).asnumpy(),
    jax.numpy.matmul(a, a, precision="highest"),
    tensorflow.matmul(a, a),
]
for product in products:
    numpy.testing.assert_allclose(numpy.asarray(product), a @ a, rtol=1e-4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("order", [IDS, IDS[::-1]], ids=" before ".join)
def test_all_frameworks_in_one_process(order):
    """Each pair of them, in both orders, imports and computes."""
    for backend in order:
        d2l_or_skip(backend)
    lines = [f"from d2lext import {name} as {name}_d2l" for name in order]
    lines += [f"assert {name}_d2l.DenseBlock" for name in order]
    result = python("\n".join([*lines, AGREE, "print('well')"]))
    assert (result.returncode, result.stdout) == (0, "well\n"), result.stderr
