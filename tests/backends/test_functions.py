"""d2l's functions on tensors do what NumPy's do."""

import warnings

import numpy as np
import pytest

rng = np.random.default_rng(0)
A, B = (rng.uniform(0.5, 2, shape).astype(np.float32) for shape in [(2, 3), (3, 4)])
As, Bs = (rng.normal(size=s).astype(np.float32) for s in [(2, 3, 4), (2, 4, 2)])

# Each with arguments that it takes in all frameworks, and the same function in NumPy.
FUNCTIONS = {
    "ones": (((2, 3),), np.ones),
    "ones_like": ((A,), np.ones_like),
    "zeros": (((2, 3),), np.zeros),
    "zeros_like": ((A,), np.zeros_like),
    "eye": ((3,), np.eye),
    "arange": ((0.0, 2.0, 0.5), np.arange),
    "linspace": ((0.0, 1.0, 5), np.linspace),
    "tensor": (([[1.0, 2.0], [3.0, 4.0]],), np.array),
    "sin": ((A,), np.sin),
    "cos": ((A,), np.cos),
    "tan": ((A,), np.tan),
    "sinh": ((A,), np.sinh),
    "cosh": ((A,), np.cosh),
    "tanh": ((A,), np.tanh),
    "exp": ((A,), np.exp),
    "log": ((A,), np.log),
    "abs": ((As,), np.abs),
    "sigmoid": ((As,), lambda x: 1 / (1 + np.exp(-x))),
    "matmul": ((A, B), np.matmul),
    "batch_matmul": ((As, Bs), np.matmul),
    "concat": (((A, A + 1), 1), np.concatenate),
    "stack": (((A, A + 1), 1), np.stack),
    "expand_dims": ((A, 1), np.expand_dims),
    "swapaxes": ((As, 0, 1), np.swapaxes),
    "reshape": ((A, (3, -1)), np.reshape),
    "transpose": ((A,), np.transpose),
    "numpy": ((A,), np.asarray),
    "size": ((A,), np.size),
    "argmax": ((A, 1), np.argmax),
    "reduce_sum": ((A, 1), np.sum),
    "reduce_mean": ((A, 0), np.mean),
}
CONVENTIONS = ("meshgrid", "repeat", "astype", "to")  # whose arguments differ
TYPES = ("int32", "int64", "float32")
RANDOM = {"rand": (0.5, 12**-0.5), "randn": (0, 1), "normal": (3, 2)}  # mean, deviation


def test_every_function_is_tested(d2l):
    tested = [*FUNCTIONS, *CONVENTIONS, *RANDOM, *TYPES]
    assert sorted(d2l.functions.__all__) == sorted(tested)


def tensors(d2l, value):
    """`value` with the framework's tensors for NumPy's arrays."""
    if isinstance(value, tuple):
        return tuple(tensors(d2l, v) for v in value)
    return d2l.tensor(value) if isinstance(value, np.ndarray) else value


def numbers(d2l, value):
    """A tensor, several, or a number as NumPy's array."""
    if isinstance(value, (tuple, list)):
        return np.stack([numbers(d2l, v) for v in value])
    return np.asarray(
        d2l.numpy(value) if isinstance(value, tensor_type(d2l)) else value
    )


def tensor_type(d2l):
    """The class of the framework's tensors."""
    return type(d2l.ones((1,)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_does_what_numpys_does(d2l, name):
    arguments, function = FUNCTIONS[name]
    y = getattr(d2l, name)(*tensors(d2l, arguments))
    if name == "numpy":
        assert type(y) is np.ndarray
    elif name == "size":
        assert isinstance(y, (int, np.integer))
    else:
        assert isinstance(y, tensor_type(d2l))
    y, expected = numbers(d2l, y), np.asarray(function(*arguments))
    assert y.shape == expected.shape
    assert np.allclose(y, expected, rtol=1e-5, atol=1e-6)
    if expected.dtype.kind == "f":
        assert y.dtype == np.float32
    else:
        assert y.dtype.kind == "i"


def test_functions_with_arguments_of_the_frameworks_own(d2l, backend):
    x = d2l.tensor(A)
    grid = d2l.meshgrid(x[0], x[1], indexing="ij")
    assert np.array_equal(numbers(d2l, grid), np.meshgrid(A[0], A[1], indexing="ij"))
    if backend == "torch":
        assert np.array_equal(d2l.repeat(x, (2, 3)), np.tile(A, (2, 3)))
    else:
        assert np.array_equal(numbers(d2l, d2l.repeat(x, 2, 1)), A.repeat(2, axis=1))
    there = d2l.to(x, d2l.cpu())
    assert isinstance(there, tensor_type(d2l))
    assert np.array_equal(numbers(d2l, there), A)


@pytest.mark.parametrize("name", TYPES)
def test_types(d2l, backend, name):
    kind, expected = getattr(d2l, name), name
    with warnings.catch_warnings():
        if name == "int64" and backend == "jax":  # whose integers have 32 bits
            warnings.filterwarnings("ignore", "Explicitly requested dtype int64")
            expected = "int32"
        y = d2l.astype(d2l.tensor([1.0, 2.7]), kind)
        zeros = d2l.zeros((2, 3), dtype=kind)
    assert numbers(d2l, zeros).dtype == numbers(d2l, y).dtype == expected
    assert np.allclose(numbers(d2l, y), np.array([1.0, 2.7]).astype(expected))


@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers(d2l, backend, name):
    shape, mean, deviation = (100, 100), *RANDOM[name]
    if name == "rand":
        arguments = (shape,) if backend == "tensorflow" else shape
    elif name == "randn":
        arguments = shape
    elif backend in ("torch", "mxnet"):
        arguments = (float(mean), float(deviation), shape)
    else:
        arguments = (shape, mean, deviation)
    y, other = (numbers(d2l, getattr(d2l, name)(*arguments)) for _ in range(2))
    assert (y.shape, y.dtype) == (shape, np.float32)
    assert not np.array_equal(y, other)
    # Six standard errors of 10,000 numbers.
    assert abs(y.mean() - mean) < 0.06 * deviation
    assert abs(y.std() - deviation) < 0.05 * deviation
    if name == "rand":
        assert y.min() >= 0
        assert y.max() < 1
    else:  # no uniform distribution goes beyond 1.8 deviations
        assert abs(y - mean).max() > 3 * deviation
