"""Faster programs in JAX: the results of JAX itself, of any model and any call."""

import re
from functools import partial

import numpy as np
import pytest

pytest.importorskip("d2lext.jax", exc_type=ImportError)

import flax
import jax
from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from shared.frameworks import small

from d2lext import jax as d2l
from d2lext.core.densenet import parity
from d2lext.jax.speed.programs import faster


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def value_and_grads(function, *arrays):
    """The output for `arrays`, and the gradients of a random sum of it."""

    def loss(*arrays):
        Y = function(*arrays)
        return (Y * numbers(*Y.shape, seed=9)).sum(), Y

    grad = jax.value_and_grad(loss, range(len(arrays)), has_aux=True)
    (_, Y), grads = jax.jit(grad)(*arrays)
    return Y, grads


def assert_equal_gradients(function, *arrays, tolerance=1e-5):
    Y, grads = value_and_grads(function, *arrays)
    fast_Y, fast_grads = value_and_grads(faster(function), *arrays)
    assert parity.difference(fast_Y, Y) <= 1e-6
    for fast, plain in zip(fast_grads, grads, strict=True):
        assert parity.difference(fast, plain) <= tolerance


def primitives(function, *arrays):
    """The names of what runs in the gradient's program on a CPU."""
    grad = jax.grad(lambda *arrays: function(*arrays).sum(), range(len(arrays)))
    return jax.jit(grad).lower(*arrays).as_text()


def conv(X, W, **kwargs):
    numbers = ("NHWC", "HWIO", "NHWC")
    kwargs = {"window_strides": (1, 1), "padding": "SAME"} | kwargs
    return lax.conv_general_dilated(X, W, dimension_numbers=numbers, **kwargs)


CONVOLUTIONS = [
    ((3, 3), {}),
    ((2, 3), {"padding": "VALID"}),
    ((3, 2), {"padding": ((2, 0), (0, 3))}),
    ((3, 3), {"padding": ((-1, 1), (3, -2))}),
    ((7, 7), {"window_strides": (2, 2), "padding": ((3, 3), (3, 3))}),
    ((4, 4), {"window_strides": (3, 2)}),
    ((1, 1), {}),
    ((1, 1), {"window_strides": (2, 2)}),
    ((3, 3), {"rhs_dilation": (2, 2)}),
]


@pytest.mark.slow
@pytest.mark.parametrize("channels", [(5, 2), (2, 5)])
@pytest.mark.parametrize(("window", "kwargs"), CONVOLUTIONS)
def test_a_convolution_has_its_gradients(channels, window, kwargs):
    X, W = numbers(2, 11, 9, channels[0]), numbers(*window, *channels, seed=1)
    assert_equal_gradients(partial(conv, **kwargs), X, W)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [(5, 2), (2, 5)])
@pytest.mark.parametrize(("window", "kwargs"), CONVOLUTIONS)
def test_in_bfloat16_factors_are_rounded_and_sums_are_not(channels, window, kwargs):
    """The oracle is JAX's convolution in float32, of numbers rounded beforehand."""

    def rounded(array):
        return array.astype(jnp.bfloat16).astype(jnp.float32)

    X, W = numbers(2, 11, 9, channels[0]), numbers(*window, *channels, seed=1)
    plain, fast = partial(conv, **kwargs), faster(partial(conv, **kwargs), jnp.bfloat16)
    dY = numbers(*jax.eval_shape(plain, X, W).shape, seed=9)

    def with_gradients(function, X, W, dY):
        Y, gradients = jax.vjp(function, X, W)
        return Y, *gradients(dY)

    expected = jax.jit(partial(with_gradients, plain))(*map(rounded, (X, W, dY)))
    found = jax.jit(partial(with_gradients, fast))(X, W, dY)
    # With holes it is XLA's own, which rounds what comes out as well.
    tolerance = 1e-2 if "rhs_dilation" in kwargs else 1e-5
    for array, oracle in zip(found, expected, strict=True):
        assert array.dtype == jnp.float32
        assert parity.difference(array, oracle) <= tolerance


@pytest.mark.skipif(
    jax.__version_info__ < (0, 10), reason="older XLA writes its program differently"
)
def test_on_a_cpu_products_of_bfloat16_are_left_of_a_convolution():
    arrays = numbers(2, 6, 6, 4), numbers(3, 3, 4, 2)
    X, W = (jax.device_put(array, d2l.cpu()) for array in arrays)

    def loss(X, W):
        return (faster(conv, jnp.bfloat16)(X, W) ** 2).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).lower(X, W).compile().as_text()
    assert "convolution(" not in program
    functions = [part for part in program.split("\n}") if " dot(" in part]
    assert len(functions) == 3  # forward, dX, dW
    # A product that XLA finds no way for is one of numbers converted to float32.
    assert all(re.search(r"param_\S+: bf16", function) for function in functions)


def test_groups_are_left_as_they_are():
    X, W = numbers(2, 6, 6, 4), numbers(3, 3, 2, 6, seed=1)
    assert_equal_gradients(partial(conv, feature_group_count=2), X, W)


def test_the_weights_gradient_is_a_matrix_product():
    X, W = numbers(2, 6, 6, 4), numbers(3, 3, 4, 2)
    assert "dot_general" not in primitives(conv, X, W)
    assert "dot_general" in primitives(faster(conv), X, W)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("window", "strides", "padding"),
    [
        ((3, 3), (2, 2), ((1, 1), (1, 1))),
        ((2, 2), (2, 2), "VALID"),
        ((3, 2), (1, 3), "SAME"),
        ((1, 1), (2, 2), "VALID"),
    ],
)
def test_of_equal_maxima_the_same_has_the_gradient(window, strides, padding):
    X = jnp.round(numbers(2, 9, 8, 3))  # whole numbers: many are equal
    pool = partial(nn.max_pool, window_shape=window, strides=strides, padding=padding)
    assert_equal_gradients(pool, X)
    assert "select_and_scatter" not in primitives(faster(pool), X)


@pytest.mark.parametrize("wrap", [jax.jit, jax.checkpoint])
def test_programs_within_programs(wrap):
    X, W = numbers(2, 6, 6, 4), numbers(3, 3, 4, 2)
    function = wrap(lambda X, W: nn.relu(conv(X, W)))
    assert_equal_gradients(function, X, W)
    assert "dot_general" in primitives(faster(function), X, W)


def test_loops_and_own_gradients_are_left_as_they_are():
    @jax.custom_vjp
    def doubled(X):
        return X

    doubled.defvjp(lambda X: (X, None), lambda _, dX: (2 * dX,))

    def function(X, W):
        return lax.scan(lambda X, _: (doubled(conv(X, W)), None), X, None, 2)[0]

    assert_equal_gradients(function, numbers(2, 6, 6, 4), numbers(3, 3, 4, 4))


@pytest.mark.slow
def test_all_kinds_of_arguments_and_results():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, X, scale, train=False):
            X = nn.BatchNorm(use_running_average=not train)(nn.Conv(4, (3, 3))(X))
            X = nn.Dropout(0.5, deterministic=not train)(X)
            return {"out": X * scale, "shape": X.shape[1], "nothing": None}

    net, X, key = Net(), numbers(2, 6, 6, 3), jax.random.key(1)
    variables = jax.jit(net.init)(key, X, 1.0)
    options = {"mutable": ["batch_stats"], "rngs": {"dropout": key}}
    plain = net.apply(variables, X, 2.0, train=True, **options)
    fast = faster(net.apply)(variables, X, 2.0, train=True, **options)
    assert jax.tree.structure(fast) == jax.tree.structure(plain)
    for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def densenet(apply_of):
    model = small(d2l, arch=(2, 1))
    X = numbers(4, 32, 32, 1, seed=1)
    variables = model.apply_init((X,), jax.random.key(0))

    def loss(params):
        variables_ = {**variables, "params": params}
        Y, updates = apply_of(model)(variables_, X, mutable=["batch_stats"])
        return (Y**2).mean(), (Y, updates)

    grad = jax.value_and_grad(loss, has_aux=True)
    (_, (Y, updates)), grads = jax.jit(grad)(variables["params"])
    named = {jax.tree_util.keystr(k): v for k, v in jax.tree.leaves_with_path(grads)}
    return Y, updates, named


@pytest.mark.slow
def test_a_densenet_agrees():
    Y, updates, grads = densenet(lambda model: model.apply)
    fast_Y, fast_updates, fast_grads = densenet(lambda model: faster(model.apply))
    assert parity.difference(fast_Y, Y) <= 1e-6
    assert parity.difference(fast_grads, grads) <= 1e-5
    leaves = map(jax.tree.leaves, (fast_updates, updates))
    for a, b in zip(*leaves, strict=True):
        assert parity.difference(a, b) <= 1e-6


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.8, "epsilon": 0.1},
        {"axis": 1},
        {"use_scale": False},
        {"use_bias": False},
        {"use_fast_variance": False},
        {"param_dtype": jnp.bfloat16},
    ],
)
def test_batch_norm_is_that_of_flax(options):
    norm, X = (
        nn.BatchNorm(use_running_average=False, **options),
        3 + numbers(4, 5, 6, 7),
    )
    variables = jax.tree.map(
        lambda a: (a + numbers(*a.shape)).astype(a.dtype),
        jax.jit(norm.init)(jax.random.key(0), X),
    )
    params = variables.get("params", {})

    def results(apply):
        def loss(params, X):
            given = {**variables, "params": params}
            Y, updates = apply(given, X, mutable=["batch_stats"])
            return (Y * numbers(*Y.shape, seed=9)).sum(), (Y, updates)

        return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, X)

    fast, plain = results(faster(norm.apply)), results(norm.apply)
    assert jax.tree.structure(fast) == jax.tree.structure(plain)
    for a, b in zip(*map(jax.tree.leaves, (fast, plain)), strict=True):
        assert a.dtype == b.dtype
        assert parity.difference(a, b) <= 1e-5


def test_batch_norm_without_a_place_for_its_statistics_is_an_error_as_in_flax():
    norm, X = nn.BatchNorm(use_running_average=False), numbers(2, 3, 4, 5)
    variables = jax.jit(norm.init)(jax.random.key(0), X)
    for apply in norm.apply, faster(norm.apply):
        with pytest.raises(flax.errors.ModifyScopeVariableError):
            apply(variables, X)


def test_a_dense_block_sums_new_features_alone():
    """Over a batch, forward: XLA sees that two sums of the same array are one."""
    block, X = d2l.DenseBlock(num_convs=4, num_channels=3), numbers(2, 8, 8, 5)
    variables = jax.eval_shape(block.init, jax.random.key(0), X)

    def summed(apply):
        """How many channels the arrays have that are summed over the batch."""
        run = jax.jit(partial(apply, mutable=["batch_stats"]))
        text = run.lower(variables, X).as_text()
        sums = (
            r"stablehlo.reduce.* dimensions = \[0, 1, 2\] : \(tensor<2x8x8x(\d+)xf32>"
        )
        return set(map(int, re.findall(sums, text)))

    assert summed(block.apply) == {5, 8, 11, 14}
    assert summed(faster(block.apply)) == {5, 3}


@pytest.mark.slow
def test_in_bfloat16_only_convolutions_round():
    Y, updates, grads = densenet(lambda model: model.apply)
    low = densenet(lambda model: faster(model.apply, dtype=jnp.bfloat16))
    assert 1e-4 < parity.difference(low[0], Y) < 0.1  # eight bits of precision
    arrays = jax.tree.leaves(low)
    assert {array.dtype for array in arrays} == {jnp.dtype("float32")}
