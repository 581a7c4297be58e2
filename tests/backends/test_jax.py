"""The backend for JAX: its modules, its trainer, and the chapter's network."""

import math
import random
import subprocess
import sys
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
from shared import random_images

if not all(map(find_spec, ("jax", "flax", "optax"))):
    pytest.skip(
        "JAX, Flax or Optax is missing: python build.py setup --backend jax",
        allow_module_level=True,
    )

from d2lext import jax as d2l  # isort: skip
import flax
import jax
import optax
from flax import linen as nn
from jax import numpy as jnp

from d2lext.core.machine import processor


class Data(random_images.Data):
    to_tensor = staticmethod(jnp.asarray)


class Linear(d2l.Classifier):
    """One dense layer behind dropout."""

    lr: float = 0.1
    dropout: float = 0.0
    training: bool = True

    def setup(self):
        self.net = nn.Sequential([
            lambda X: X.reshape(len(X), -1),
            nn.Dropout(self.dropout, deterministic=not self.training),
            nn.Dense(10),
        ])  # fmt: skip


def small(lr=0.1):
    return d2l.DenseNet(num_channels=8, growth_rate=4, arch=(1, 1), lr=lr)


def fit(model, data=None, max_epochs=1, **kwargs):
    trainer = d2l.Trainer(max_epochs=max_epochs, **kwargs)
    trainer.fit(model, data or Data())
    return trainer


def init_with_output(block, X):
    """The block's output; a program compiled quickly, not one that runs quickly."""
    options = {"xla_backend_optimization_level": 0}
    init = jax.jit(block.init_with_output, compiler_options=options)
    return init(jax.random.key(0), X)[0]


def build(model, shape=(1, 16, 16, 1)):
    model.apply_init((jnp.zeros(shape),), jax.random.key(0))
    return model


def arrays(tree):
    return [np.array(leaf) for leaf in jax.tree.leaves(tree)]


def same(a, b):
    return all(np.array_equal(v, w) for v, w in zip(arrays(a), arrays(b), strict=True))


def state_of(model):
    """The state that a trainer would hand to the model's loss."""
    return d2l.trainer.TrainState.create(
        apply_fn=model.apply,
        params=model.variables["params"],
        batch_stats=model.variables.get("batch_stats", {}),
        dropout_rng=jax.random.key(0),
        tx=optax.identity(),
    )


@pytest.fixture(autouse=True, scope="module")
def whole_runs():
    """Training as long as a test says, whatever the environment asks for."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.delenv("D2LEXT_FAST", raising=False)
        monkeypatch.delenv("D2LEXT_EPOCHS", raising=False)
        yield


@pytest.fixture(scope="module")
def densenet():
    """The chapter's network, built."""
    return build(d2l.DenseNet(), (1, 96, 96, 1))


@pytest.fixture(scope="module")
def trained():
    """The trainer of a small network, which it has trained for five epochs."""
    return fit(small(), Data(batch_size=4), max_epochs=5)


# The chapter's network.


def test_dense_and_transition_block():
    Y = init_with_output(d2l.DenseBlock(2, 10), jnp.zeros((4, 8, 8, 3)))
    assert Y.shape == (4, 8, 8, 23)
    assert init_with_output(d2l.TransitionBlock(10), Y).shape == (4, 4, 4, 10)


def test_conv_block_returns_the_new_features_alone():
    Y = init_with_output(d2l.ConvBlock(10), jnp.zeros((4, 8, 8, 3)))
    assert Y.shape == (4, 8, 8, 10)


def test_dense_block_keeps_its_input_in_front():
    X = jax.random.normal(jax.random.key(0), (2, 4, 4, 3))
    Y = init_with_output(d2l.DenseBlock(2, 5), X)
    assert np.array_equal(Y[..., :3], X)


def test_layer_summary(capsys, densenet):
    variables = densenet.variables
    densenet.layer_summary((1, 96, 96, 1))
    assert capsys.readouterr().out.splitlines() == [
        "Conv                    (1, 48, 48, 64)",
        "BatchNorm               (1, 48, 48, 64)",
        "relu                    (1, 48, 48, 64)",
        "max_pool                (1, 24, 24, 64)",
        "DenseBlock              (1, 24, 24, 192)",
        "TransitionBlock         (1, 12, 12, 96)",
        "DenseBlock              (1, 12, 12, 224)",
        "TransitionBlock         (1, 6, 6, 112)",
        "DenseBlock              (1, 6, 6, 240)",
        "TransitionBlock         (1, 3, 3, 120)",
        "DenseBlock              (1, 3, 3, 248)",
        "BatchNorm               (1, 3, 3, 248)",
        "relu                    (1, 3, 3, 248)",
        "global_avg_pool         (1, 248)",
        "Dense                   (1, 10)",
    ]
    assert densenet.variables is variables


def test_layer_summary_builds():
    model = Linear()
    model.layer_summary((1, 4, 4, 1))
    assert d2l.num_params(model) == 4 * 4 * 10 + 10


def test_num_params(densenet):
    assert d2l.num_params(densenet) == 758_226


def test_num_params_of_an_unbuilt_model():
    with pytest.raises(ValueError, match=r"build it with model.layer_summary\(X_shape"):
        d2l.num_params(d2l.DenseNet())


def test_padding_of_the_stem():
    # A kernel that copies the pixel at its centre shows where the windows lie. With
    # 3 pixels of padding before stride 2, and 1 before the pool, the corner of the
    # first window of the pool is pixel (2, 2); "same" would give another one.
    model = build(d2l.DenseNet(num_channels=1, training=False, arch=(1,)))
    conv = model.variables["params"]["net"]["layers_0"]
    conv["kernel"] = jnp.eye(49)[24].reshape(7, 7, 1, 1)
    X = np.arange(1, 96 * 96 + 1, dtype=np.float32).reshape(1, 96, 96, 1)
    Y = X
    for layer in model.bind(model.variables).net.layers[:4]:
        Y = layer(Y)
    expected = X[:, 2::4, 2::4] / math.sqrt(1 + 1e-5)
    np.testing.assert_allclose(Y, expected, rtol=1e-6)


def test_batch_norm_spelled_out():
    norms = {}

    def note(next_fun, args, kwargs, context):
        if isinstance(context.module, nn.BatchNorm):
            norms[context.module.path] = context.module
        return next_fun(*args, **kwargs)

    for training in (True, False):
        norms.clear()
        model = d2l.DenseNet(training=training)
        with nn.intercept_methods(note):
            key, X = jax.random.key(0), jnp.zeros((1, 96, 96, 1))
            jax.eval_shape(model.init, key, X)
        assert len(norms) == 1 + 16 + 3 + 1
        assert {(norm.momentum, norm.epsilon) for norm in norms.values()} == {
            (0.9, 1e-5)
        }
        assert all(n.use_running_average is not training for n in norms.values())


def test_xavier_uniform_weights_and_zero_biases(densenet):
    layers = flax.traverse_util.flatten_dict(densenet.variables["params"])
    kernels = [path for path in layers if path[-1] == "kernel"]
    assert len(kernels) == 1 + 16 + 3 + 1
    for path in kernels:
        kernel = np.asarray(layers[path])
        *window, channels_in, channels_out = kernel.shape
        limit = math.sqrt(6 / (math.prod(window) * (channels_in + channels_out)))
        assert np.abs(kernel).max() <= limit
        assert kernel.std() == pytest.approx(limit / math.sqrt(3), rel=0.05)
        assert not layers[*path[:-1], "bias"].any()


def test_every_parameter_gets_a_gradient():
    model, data = build(small()), Data()
    state = state_of(model)
    loss = jax.jit(lambda params: model.loss(params, (data.X,), data.y, state)[0])
    grads = jax.grad(loss)(state.params)
    # A bias in front of a BatchNorm is subtracted again: its gradient is rounding.
    assert all(g.any() for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"growth_rate": 0}, r"growth_rate must be an integer >= 1, got 0"),
        ({"num_channels": 1.5}, r"num_channels must be an integer >= 1, got 1.5"),
        ({"arch": ()}, r"arch must hold at least one integer, each >= 1, got \(\)"),
        ({"arch": (4, 0)}, r"arch must hold at least one integer, .* got \(4, 0\)"),
    ],
)
def test_wrong_hyperparameters(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        d2l.DenseNet(**wrong)


def test_image_too_small():
    message = "^DenseNet needs images of at least 29x29 pixels, got 28x28: enlarge"
    with pytest.raises(ValueError, match=message):
        d2l.DenseNet().layer_summary((2, 28, 28, 1))
    with pytest.raises(ValueError, match=message):
        fit(d2l.DenseNet(), Data(shape=(28, 28, 1)))
    model, X = d2l.DenseNet(), jnp.zeros((1, 29, 29, 1))
    Y, _ = jax.eval_shape(model.init_with_output, jax.random.key(0), X)
    assert Y.shape == (1, 10)


# What belongs to a module, and what does not.


def test_equality_is_that_of_the_fields():
    model, other = small(), small()
    build(model)
    model.trainer = "a trainer"
    assert model == other
    assert hash(model) == hash(other)
    assert model != small(lr=0.2)
    assert model.board is not other.board


def test_variables_within_apply_are_those_applied():
    model = build(Linear(), (1, 2))
    ones = jax.tree.map(jnp.ones_like, model.variables)
    bound = model.bind(ones)
    assert same(bound.variables, ones)
    assert not same(model.variables, ones)


def test_evaluating():
    assert Linear(lr=3).evaluating() == Linear(lr=3, training=False)
    model = d2l.Module()  # without the field `training`
    assert model.evaluating() is model


# Training.


def test_batch_norm_learns_its_statistics():
    model, data = build(small(lr=0)), Data(batch_size=20)
    conv, *_ = model.bind(model.variables).net.layers
    before = np.asarray(conv(data.X[:20]))
    fit(model, data, precision="fp32")
    stats = model.variables["batch_stats"]
    stem = stats["net"]["layers_1"]
    mean, variance = before.mean(axis=(0, 1, 2)), before.var(axis=(0, 1, 2))
    np.testing.assert_allclose(stem["mean"], 0.1 * mean, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(stem["var"], 0.9 + 0.1 * variance, rtol=1e-4)
    means = flax.traverse_util.flatten_dict(stats)
    assert all(np.any(m) for path, m in means.items() if path[-1] == "mean")


def test_evaluation_uses_the_statistics_and_leaves_them(trained):
    model, (X, y) = trained.model, trained.val_dataloader[0]
    before = arrays(trained.state.batch_stats)
    trained.eval_step((X, y))
    assert same(before, trained.state.batch_stats)
    assert same(before, model.variables["batch_stats"])
    # No example depends on its neighbours in the batch.
    predict = jax.jit(model.evaluating().apply)
    Y, others = predict(model.variables, X), predict(model.variables, X.at[1:].add(1))
    assert np.array_equal(Y[0], others[0])
    assert not np.allclose(Y[1], others[1])
    train = jax.jit(partial(model.apply, mutable=["batch_stats"]))
    assert not np.allclose(Y, train(model.variables, X)[0], rtol=1e-2)


def test_history_counts_every_validation_example_once():
    model, data = Linear(), Data()
    entry = fit(model, data, max_epochs=2).history[-1]
    X, y = data.X[20:], np.asarray(data.y[20:])
    logits = np.float64(model.evaluating().apply(model.variables, X))
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(y)), y].mean()
    assert entry["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert entry["val_acc"] == pytest.approx((logits.argmax(1) == y).mean())
    keys = "epoch train_loss train_seconds val_loss val_acc val_seconds"
    assert list(entry) == keys.split()
    assert entry["epoch"] == 2


def test_training_lowers_the_loss(trained):
    first, *_, last = trained.history
    assert last["train_loss"] < 0.8 * first["train_loss"]


def test_a_step_begins_with_its_batch_in_place():
    """A step that waits for its batch does so in a thread that has no memory yet."""
    trainer = d2l.Trainer(max_epochs=1)
    trainer.prepare_data(Data())
    batch = np.ones((2**26,), np.float32), np.ones(1)  # 256 MiB take a while
    assert all(array.is_ready() for array in trainer.prepare_batch(batch))


@pytest.mark.parametrize(("has_bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_a_cpu_multiplies_what_it_has_instructions_for(
    has_bf16, precision, monkeypatch
):
    monkeypatch.setattr(processor, "has_bfloat16", lambda: has_bf16)
    assert d2l.Trainer(max_epochs=1).used_precision == precision


def test_steps_are_compiled_once_for_each_size_of_batch():
    calls = []

    class Counted(Linear):
        def training_step(self, params, batch, state):
            calls.append(("train", len(batch[-1])))
            return super().training_step(params, batch, state)

        def validation_step(self, params, batch, state):
            calls.append(("val", len(batch[-1])))
            super().validation_step(params, batch, state)

        def configure_optimizers(self):
            return optax.adam(0.1)  # with a state of its own

    trainer = fit(Counted(), Data(), max_epochs=3)
    assert calls == [("train", 8), ("train", 4), ("val", 8), ("val", 4)]
    # A second program for the same sizes would need no second trace.
    assert trainer._run_train_step._cache_size() == 2
    assert trainer._run_eval_step._cache_size() == 2


def test_same_seed_same_run():
    def run(seed):
        random.random()
        d2l.get_key()
        model = Linear(dropout=0.5)
        trainer = fit(model, Data(batch_size=4), seed=seed, max_epochs=2)
        return [e["train_loss"] for e in trainer.history], model.variables["params"]

    (losses, weights), (again, weights_again), (other, _) = map(run, (0, 0, 1))
    assert losses == again != other
    assert same(weights, weights_again)


def test_seed_fixes_the_initial_weights():
    weights = []
    for seed in (0, 0, 1):
        trainer, model = d2l.Trainer(max_epochs=1, seed=seed), Linear()
        trainer.seed_framework()
        trainer.prepare_data(Data())
        trainer.prepare_model(model)
        weights.append(arrays(model.variables))
    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


def test_dropout_in_training_alone_and_another_one_each_step():
    model, data = build(Linear(lr=0, dropout=0.5)), Data(batch_size=20)
    runs = [fit(model, data, seed=s, max_epochs=3).history for s in (0, 0, 1)]
    losses = [[e["train_loss"] for e in history] for history in runs]
    assert losses[0] == losses[1] != losses[2]
    assert len(set(losses[0])) == 3
    assert len({e["val_loss"] for history in runs for e in history}) == 1


def test_built_weights_are_where_training_starts():
    model = build(Linear(lr=0))
    before = arrays(model.variables["params"])
    fit(model)
    assert same(before, model.variables["params"])


def test_training_leaves_earlier_arrays_alone():
    model = build(Linear())
    before = model.variables
    fit(model)
    after = model.variables["params"]
    fit(model)
    assert not same(before["params"], after)  # both can still be read
    assert not same(after, model.variables["params"])


def test_interrupted_training_keeps_its_weights():
    class Interrupted(Data):
        def get_dataloader(self, train):
            batches = super().get_dataloader(train)
            return Stops(batches) if train else batches

    class Stops(list):
        def __iter__(self):
            yield self[0]
            yield self[1]
            raise KeyboardInterrupt

    model = build(Linear())
    before = arrays(model.variables["params"])
    with pytest.raises(KeyboardInterrupt):
        fit(model, Interrupted())
    assert not same(before, model.variables["params"])


def test_own_loss_step_and_optimiser():
    class Regression(d2l.Module):
        @nn.compact
        def __call__(self, A, B):
            return nn.Dense(1)(jnp.concatenate((A, B), axis=1))

        def loss(self, params, X, y, state):
            y_hat = state.apply_fn({"params": params}, *X)
            return ((y_hat.squeeze(1) - y) ** 2).mean()

        def training_step(self, params, batch, state):
            l, grads = super().training_step(params, batch, state)
            self.plot("double", 2 * l, train=True)
            return l, grads

        def configure_optimizers(self):
            return optax.adam(0.1)

    class TwoInputs(Data):
        def get_dataloader(self, train):
            loader = super().get_dataloader(train)
            loader[:] = [(X[:, :2], X[:, 2:], y) for X, y in loader]
            return loader

    first, last = fit(Regression(), TwoInputs(shape=(5,)), max_epochs=2).history
    assert last["val_loss"] < first["val_loss"]
    assert last["train_double"] == pytest.approx(2 * last["train_loss"])


def test_module_without_loss():
    with pytest.raises(NotImplementedError, match=r"Module must define loss\(params, "):
        d2l.Module().loss(None, None, None, None)


def test_gradients_are_clipped():
    model, data = build(Linear(lr=1)), Data(batch_size=20)
    before = arrays(model.variables["params"])
    fit(model, data, gradient_clip_val=0.01)
    after = arrays(model.variables["params"])
    change = sum(((v - w) ** 2).sum() for v, w in zip(before, after, strict=True))
    assert math.sqrt(change) == pytest.approx(0.01, rel=1e-3)
    grads = {"a": jnp.array([3.0, 4.0]), "b": jnp.zeros(2)}
    assert same(d2l.Trainer(max_epochs=1).clip_gradients(6, grads), grads)


def test_plots_and_report(capsys):
    model = Linear()
    fit(model, num_gpus=1)
    out = capsys.readouterr().out
    assert ("No GPU found: training on the CPU" in out) == (d2l.num_gpus() == 0)
    versions = f"jax {jax.__version__}, flax {flax.__version__}"
    assert f"{versions}, optax {optax.__version__}" in out
    assert "seed 0" in out
    assert list(model.board.data) == ["train_loss", "val_loss", "val_acc"]


def test_loss_and_accuracy_of_each_example():
    class Identity(d2l.Classifier):
        def __call__(self, X):
            return X

    model = Identity()
    model.variables = {"params": {}}
    logits, y = jnp.array([[2.0, 0.0], [0.0, 1.0]]), jnp.array([0, 0])
    args = ({}, (logits,), y, state_of(model))
    each, _ = model.loss(*args, averaged=False)
    expected = [math.log1p(math.exp(-2)), math.log1p(math.e)]
    np.testing.assert_allclose(each, expected, 1e-6)
    assert model.loss(*args)[0] == pytest.approx(float(sum(each)) / 2)
    assert model.accuracy(*args, averaged=False).tolist() == [1, 0]
    assert model.accuracy(*args) == 0.5


def test_apply_init():
    model = Linear()
    key = {"params": jax.random.key(1), "dropout": jax.random.key(2)}
    variables = model.apply_init((jnp.zeros((1, 4)),), key)
    assert variables is model.variables
    assert variables["params"]["net"]["layers_2"]["kernel"].shape == (4, 10)


def test_methods_added_later():
    class Late(d2l.Classifier):
        lr: float = 0.1

        def setup(self):
            self.net = self.stem()

    @d2l.add_to_class(Late)
    def stem(self):
        return nn.Sequential([lambda X: X.mean(axis=(1, 2)), nn.Dense(10)])

    model = Late()
    fit(model)
    assert d2l.num_params(model) == 1 * 10 + 10


# Data, devices, import.


def test_images_become_nhwc():
    data = object.__new__(d2l.FashionMNIST)
    X = np.random.default_rng(0).integers(256, size=(2, 3, 4, 5), dtype=np.uint8)
    images, labels = data.to_tensors(X, np.array([3, 9]))
    assert images.shape == (2, 4, 5, 3)
    assert images.dtype == jnp.float32
    assert np.allclose(images[..., 1], X[:, 1] / 255, rtol=0, atol=1e-7)
    assert labels.dtype == jnp.int32
    assert labels.tolist() == [3, 9]


def test_visualize(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "agg")
    data = object.__new__(d2l.FashionMNIST)
    batch = data.to_tensors(np.zeros((2, 1, 28, 28), np.uint8), np.array([1, 9]))
    axes = data.visualize(batch, ncols=2)
    assert [ax.get_title() for ax in axes.flatten()] == ["trouser", "ankle boot"]


def test_devices():
    assert len(d2l.try_all_gpus()) == max(1, d2l.num_gpus())
    assert d2l.cpu().platform == "cpu"
    assert d2l.try_gpu(d2l.num_gpus()) == d2l.cpu()


def test_keys_differ_and_follow_pythons_seed():
    random.seed(0)
    first, second = d2l.get_key(), d2l.get_key()
    random.seed(0)
    assert first != second
    assert first == d2l.get_key()


@pytest.mark.slow
def test_import_is_silent():
    command = "from d2lext import jax as d2l; d2l.Trainer(max_epochs=1, num_gpus=1)"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", command],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
