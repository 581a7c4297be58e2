"""`predict` and `examine` of models that are partly frozen, or in several threads."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from shared.selected import in_backends

OPTIONS = {"arch": (1, 1), "growth_rate": 4, "num_channels": 8, "num_classes": 5}
X = np.random.default_rng(0).random((4, 3, 16, 16), np.float32)
Y = np.arange(4)


def freeze(backend, model, which):
    """Stop the parameters whose canonical name `which` accepts from learning."""
    import importlib

    tensors = importlib.import_module(f"d2lext.{backend}.weights").named_tensors(model)
    for name, tensor in tensors.items():
        if which(name) and "running" not in name:
            if backend == "torch":
                tensor.requires_grad_(False)
            elif backend == "mxnet":
                tensor.grad_req = "null"
            else:
                tensor.trainable = False


@in_backends("torch", "mxnet", "tensorflow")
@pytest.mark.parametrize("part", ["features.conv0", "features.norm0", ""])
def test_examine_with_frozen_parts(d2l, backend, part):
    """What is frozen has no gradient, and is no statistic; all else is as before."""
    whole = d2l.examine(d2l.create_model("densenet121", **OPTIONS), X, Y)
    model = d2l.create_model("densenet121", **OPTIONS)
    freeze(backend, model, lambda name: name.startswith(part))
    before = d2l.get_weights(model)
    step = d2l.examine(model, X, Y)
    expected = [name for name in whole.gradients if not name.startswith(part)]
    assert list(step.gradients) == expected
    assert list(step.statistics) == list(whole.statistics)
    assert all(name.endswith(("_mean", "_var")) for name in step.statistics)
    for name in expected:
        np.testing.assert_allclose(
            step.gradients[name], whole.gradients[name], rtol=1e-4, atol=1e-6
        )
    after = d2l.get_weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)


@in_backends("torch")
def test_examine_does_not_count(d2l):
    """The number of batches that a normalization has seen is a part of the model."""
    model = d2l.create_model("densenet121", **OPTIONS)
    before = {name: t.clone() for name, t in model.state_dict().items()}
    d2l.examine(model, X, Y)
    for name, tensor in model.state_dict().items():
        assert tensor.equal(before[name]), name


@in_backends("torch", "jax", "tensorflow")  # MXNet's generator cannot be put back
def test_examine_twice(d2l):
    """Dropout, too, is left as it was."""
    model = d2l.create_model("densenet121", **OPTIONS, dropout=0.5)
    first, second = (d2l.examine(model, X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.logits, second.logits)


@in_backends("mxnet")
def test_examine_leaves_gradients_alone(d2l):
    """Those that add up over batches have others in them."""
    model = d2l.create_model("densenet121", **OPTIONS)
    expected = d2l.examine(model, X, Y).gradients
    for param in model.collect_params().values():
        if param.grad_req != "null":
            param.grad_req = "add"
            param.grad()[:] = 3
    step = d2l.examine(model, X, Y)
    for name, gradient in step.gradients.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-6)
    assert all(
        (p.grad().asnumpy() == 3).all()
        for p in model.collect_params().values()
        if p.grad_req != "null"
    )


def test_threads_that_predict(d2l):
    """As in a server: each gets the logits of its image, and the model stays."""
    model = d2l.create_model("densenet121", **OPTIONS)
    before = d2l.get_weights(model)
    images = [X[i % 4][None] for i in range(60)]
    expected = [d2l.predict(model, X[i][None]) for i in range(4)]
    with ThreadPoolExecutor(4) as pool:
        logits = list(pool.map(lambda image: d2l.predict(model, image), images))
    for i, found in enumerate(logits):
        np.testing.assert_allclose(found, expected[i % 4], rtol=1e-4, atol=1e-5)
    after = d2l.get_weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)
