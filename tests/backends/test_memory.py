"""`memory_efficient` changes what is kept for the backward pass, and no number.

The oracle is the same network without it.
"""

import numpy as np
import pytest
from shared.selected import SELECTED, d2l

from d2lext.core.densenet import parity

SMALL = {
    "arch": (2, 3),
    "growth_rate": 4,
    "num_channels": 8,
    "num_classes": 10,
    "in_channels": 1,
}


def images():
    """Images (n, c, h, w) and their labels."""
    rng = np.random.default_rng(0)
    return rng.random((4, 1, 8, 8), np.float32), rng.integers(0, 10, 4)


def seed(backend):
    """Let dropout's random numbers begin anew; JAX's always do."""
    if backend == "torch":
        import torch

        torch.manual_seed(0)
    elif backend == "mxnet":
        from mxnet import npx

        npx.random.seed(0)


def pair(backend, name="densenet_bc_100_12", **options):
    """Two networks of the same weights and random numbers, the second one thrifty."""
    package = d2l(backend)
    models = []
    for memory_efficient in (False, True):
        if backend == "tensorflow":
            import keras

            # A dropout of Keras' draws its seed when it is made.
            keras.utils.set_random_seed(0)
        models.append(
            package.create_model(
                name, **SMALL | options, memory_efficient=memory_efficient
            )
        )
    return models


@pytest.mark.slow
@pytest.mark.parametrize("backend", SELECTED)
@pytest.mark.parametrize("dropout", [0, 0.3])
@pytest.mark.parametrize("name", ["densenet_bc_100_12", "densenet_40_12"])
def test_a_step_is_the_same(backend, name, dropout):
    """Logits, gradients, and statistics that one step has moved once."""
    X, y = images()
    steps = []
    for model in pair(backend, name, dropout=dropout):
        seed(backend)
        steps.append(d2l(backend).examine(model, X, y))
    plain, thrifty = steps
    start = d2l(backend).get_weights(model)
    moved = [np.abs(a - start[n]).max() for n, a in plain.statistics.items()]
    assert min(moved) > 1e-4
    for what, found in parity.compare(thrifty, plain).items():
        assert found <= parity.TOLERANCES[what], what


@pytest.mark.skipif("torch" not in SELECTED, reason="it seeds PyTorch")
def test_other_random_numbers_are_found():
    """Other masks of dropout give other gradients: the test above can tell."""
    import torch

    X, y = images()
    grads = []
    for number, model in enumerate(pair("torch", dropout=0.3)):
        torch.manual_seed(number)
        grads.append(d2l("torch").examine(model, X, y).gradients)
    assert parity.difference(*grads) > 0.01


class Random(dict):
    """Data with one batch of random images, for a trainer."""

    seed, device = 0, None

    def train_dataloader(self):
        """A list of one batch, which is the validation set's, too."""
        return [self["batch"]]

    val_dataloader = train_dataloader


def batch_of(backend):
    """`images()` as the framework's own."""
    X, y = images()
    if backend in ("jax", "tensorflow"):
        X, y = X.transpose(0, 2, 3, 1), y.astype(np.int32)
    if backend == "torch":
        import torch

        return torch.from_numpy(X), torch.from_numpy(y)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.constant(X), tf.constant(y)
    if backend == "mxnet":
        from mxnet import np as mnp

        return mnp.array(X), mnp.array(y, dtype=y.dtype)
    return X, y


@pytest.mark.slow
@pytest.mark.parametrize("backend", SELECTED)
def test_training_is_the_same(backend):
    """Three epochs of one compiled step each, by the trainer."""
    package, weights, start = d2l(backend), [], None
    for model in pair(backend, lr=0.1, momentum=0.9):
        start = package.get_weights(model)
        model.board.display = False
        trainer = package.Trainer(max_epochs=3, precision="fp32")
        trainer.fit(model, Random(batch=batch_of(backend)))
        weights.append(package.get_weights(model))
    plain, thrifty = weights
    assert parity.difference(plain, start) > 0.01
    assert (
        parity.difference(thrifty, plain) <= parity.TOLERANCES["weights after 10 steps"]
    )


@pytest.mark.skipif("torch" not in SELECTED, reason="it hooks PyTorch's")
def test_pytorch_keeps_less():
    """The bytes that one step keeps for its backward pass."""
    import torch

    X, y = images()
    kept = []
    for model in pair("torch"):
        found = {}

        def keep(tensor, found=found):
            storage = tensor.untyped_storage()
            found[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            d2l("torch").examine(model, X, y)
        kept.append(sum(found.values()))
    plain, thrifty = kept
    assert thrifty < plain / 2


@pytest.mark.skipif("mxnet" not in SELECTED, reason="it is MXNet's function")
def test_mxnet_runs_each_block_once_more(monkeypatch):
    recomputed = d2l("mxnet.memory")._Recomputed
    run, calls = recomputed._run, []
    monkeypatch.setattr(recomputed, "_run", lambda *args: calls.append(1) or run(*args))
    X, y = images()
    for model, expected in zip(pair("mxnet"), (0, 2), strict=True):
        d2l("mxnet").examine(model, X, y)
        assert len(calls) == expected * sum(SMALL["arch"])


@pytest.mark.skipif("tensorflow" not in SELECTED, reason="it is TensorFlow's graph")
def test_tensorflow_recomputes_with_fused_normalization():
    """The compiled step of a trainer has one for each of what it computes anew."""
    package, counts = d2l("tensorflow"), []
    for model in pair("tensorflow"):
        model.board.display = False
        trainer = package.Trainer(max_epochs=1, precision="fp32")
        trainer.fit(model, Random(batch=batch_of("tensorflow")))
        specs = d2l("tensorflow.trainer")._specs(batch_of("tensorflow"))
        step = trainer._function(trainer._train, specs)
        kinds = [op.type for op in step.graph.get_operations()]
        counts.append(kinds.count("FusedBatchNormV3"))
    plain, thrifty = counts
    assert thrifty == plain + 2 * sum(SMALL["arch"])  # two of each block


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", "--xla_disable_hlo_passes=cse_barrier_expander"),
        ("--a=1 --b", "--a=1 --b --xla_disable_hlo_passes=cse_barrier_expander"),
        (
            "--xla_disable_hlo_passes=dce,cse --a=1",
            "--a=1 --xla_disable_hlo_passes=dce,cse,cse_barrier_expander",
        ),
        (
            "--xla_disable_hlo_passes=cse_barrier_expander",
            "--xla_disable_hlo_passes=cse_barrier_expander",
        ),
    ],
)
@pytest.mark.skipif("jax" not in SELECTED, reason="it is JAX that reads these flags")
def test_flags_of_xla(flags, expected):
    """What the user has set stays."""
    assert d2l("jax").loading._without_pass(flags) == expected


@pytest.mark.slow
@pytest.mark.skipif("jax" not in SELECTED, reason="it is XLA's plan")
def test_xla_plans_for_one_gradient_a_feature():
    """The memory of a gradient's intermediate values, as XLA's own plan has it.

    It is less than what the plain network needs, and grows by the same for each block:
    there is neither an old concatenation in it nor a gradient that waits for its sum.
    """
    import jax
    from jax import numpy as jnp

    def planned(depth, memory_efficient):
        options = {"arch": (depth,), "memory_efficient": memory_efficient}
        model = d2l("jax").create_model("densenet_bc_100_12", **SMALL | options)

        def loss(params, X):
            stats = model.variables["batch_stats"]
            variables = {"params": params, "batch_stats": stats}
            return model.apply(variables, X, mutable=["batch_stats"])[0].sum()

        X = jnp.zeros((16, 16, 16, 1))
        grad = jax.jit(jax.grad(loss)).lower(model.variables["params"], X)
        return grad.compile().memory_analysis().temp_size_in_bytes

    few, more, many = (planned(depth, True) for depth in (8, 12, 16))
    assert many < planned(16, False) / 3
    assert many - more == pytest.approx(more - few, rel=0.1)
