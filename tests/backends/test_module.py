"""The base classes of models in each framework: loss, accuracy, parameters, layers."""

import math

import numpy as np
import pytest
from shared.frameworks import native, tensor
from shared.random_images import images
from shared.selected import in_backends


def test_a_module_without_a_loss(d2l, backend):
    arguments = "params, X, y, state" if backend == "jax" else "y_hat, y"
    with pytest.raises(
        NotImplementedError, match=rf"Module must define loss\({arguments}\)"
    ):
        d2l.Module().loss(*arguments.split())


def test_loss_and_accuracy_of_each_example(d2l, backend, framework):
    logits = np.array([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    logits, y = (tensor(d2l, a) for a in (logits, np.array([0, 1, 1])))
    expected = np.log1p(np.exp([-2.0, -1.0, 3.0]))
    rounding = 1e-4 if backend == "mxnet" else 1e-6  # whose logarithm is quick
    each = d2l.numpy(framework.loss(logits, y, averaged=False))
    np.testing.assert_allclose(each, expected, rtol=rounding)
    mean = float(framework.loss(logits, y))
    assert mean == pytest.approx(expected.mean(), rel=rounding)
    each = framework.accuracy(logits, y, averaged=False)
    assert d2l.numpy(each).tolist() == [1, 1, 0]
    assert float(framework.accuracy(logits, y)) == pytest.approx(2 / 3)


def test_layer_summary_builds(d2l, framework):
    model = framework.Linear()
    model.layer_summary(native(d2l, (1, 1, 4, 4)))
    assert d2l.num_params(model) == 4 * 4 * 10 + 10


@pytest.mark.parametrize("network", ["Linear", "DenseNet"])
def test_parameters_of_a_model_that_is_not_built(d2l, backend, framework, network):
    rule = {
        "torch": "uninitialized parameter",
        "mxnet": "no parameters before its first input: call",
        "jax": r"build it with model.layer_summary\(X_shape",
        "tensorflow": "call it on a batch",
    }[backend]
    model = framework.Linear() if network == "Linear" else d2l.DenseNet()
    with pytest.raises(ValueError, match=rule):
        d2l.num_params(model)


@in_backends("torch", "mxnet", "tensorflow")  # Flax's layers take it as kernel_init
def test_init_cnn_draws_new_weights(d2l):
    """Applied to a network whose numbers are all one."""
    model = d2l.create_model("densenet_d2l", arch=(1, 1), growth_rate=4, num_channels=8)
    weights = d2l.get_weights(model)
    d2l.set_weights(model, {name: np.ones_like(a) for name, a in weights.items()})
    X = tensor(d2l, images((1, 1, 16, 16))[0])
    model.apply_init([X], d2l.init_cnn)
    kernels = {n: a for n, a in d2l.get_weights(model).items() if a.ndim > 1}
    assert len(kernels) == 1 + 2 + 1 + 1
    for name, kernel in kernels.items():
        channels_out, channels_in, *window = kernel.shape
        limit = math.sqrt(6 / (math.prod(window) * (channels_in + channels_out)))
        assert np.abs(kernel).max() <= limit < 1
        assert not d2l.get_weights(model)[name.replace("weight", "bias")].any()
