"""What JAX's backend has alone: variables beside the model, keys, arrays that stay."""

import gc
import random
import weakref
from types import SimpleNamespace

import numpy as np
import pytest
from shared.frameworks import small
from shared.random_images import Data, images

pytest.importorskip("d2lext.jax", exc_type=ImportError)

import jax
import optax
from flax import linen as nn
from jax import numpy as jnp
from shared.frameworks import jax as framework

from d2lext import jax as d2l
from d2lext.jax import models

pytestmark = pytest.mark.usefixtures("whole_runs")


def built(model, shape):
    model.apply_init((jnp.zeros(shape),), jax.random.key(0))
    return model


def fit(model, seed=0, **options):
    d2l.Trainer(max_epochs=1, seed=seed).fit(model, Data(d2l), **options)


def same(tree, other):
    leaves = zip(*map(jax.tree.leaves, (tree, other)), strict=True)
    return all(np.array_equal(a, b) for a, b in leaves)


def test_equality_is_that_of_the_fields():
    model, other = small(d2l), small(d2l)
    built(model, (1, 16, 16, 1))
    model.trainer = "a trainer"
    assert model == other
    assert hash(model) == hash(other)
    assert model != small(d2l, lr=0.2)
    assert model.board is not other.board


def test_variables_within_apply_are_those_applied():
    model = built(framework.Linear(), (1, 2))
    ones = jax.tree.map(jnp.ones_like, model.variables)
    bound = model.bind(ones)
    assert same(bound.variables, ones)
    assert not same(model.variables, ones)


def test_evaluating():
    assert framework.Linear(lr=3).evaluating() == framework.Linear(lr=3, training=False)
    model = d2l.Module()  # without the field `training`
    assert model.evaluating() is model


def test_a_clone_has_the_weights():
    model = framework.Linear()
    fit(model)
    for clone in (model.clone(lr=0.0), model.copy(lr=0.0)):
        assert same(clone.variables, model.variables)
        fit(clone)
        assert same(clone.variables, model.variables)


def test_predict_compiles_once_for_a_shape():
    """What it keeps holds no weights: logits are those of the model as it is now."""
    traced = []

    class Traced(framework.Linear):
        def forward(self, X):
            traced.append(X.shape)
            return super().forward(X)

    model = built(Traced(), (1, 16, 16, 1))
    fit(model)
    (X, _), count = images((3, 1, 16, 16)), len(traced)
    first = d2l.predict(model, X)
    np.testing.assert_array_equal(d2l.predict(model, X), first)
    model.variables = jax.tree.map(lambda a: 2 * a, model.variables)
    np.testing.assert_allclose(d2l.predict(model, X), 2 * first, rtol=1e-6)
    assert len(traced) == count + 1
    fit(model, seed=1)
    count = len(traced)
    trained = d2l.predict(model, X)
    assert len(traced) == count
    expected = model.evaluating().bind(model.variables)(X.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(trained, expected, atol=1e-5)
    assert not np.allclose(trained, 2 * first)


def test_predict_keeps_no_model_alive():
    model = built(framework.Linear(), (1, 4, 4, 1))
    d2l.predict(model, images((2, 1, 4, 4))[0])
    number, alive = id(model), weakref.ref(model)
    assert number in models._functions
    del model
    gc.collect()
    assert alive() is None
    assert number not in models._functions


def test_a_training_can_be_forgotten():
    """Compiled steps keep neither the model nor the trainer with its data alive."""
    model, trainer = framework.Linear(), d2l.Trainer(max_epochs=1)
    trainer.fit(model, Data(d2l))
    trainer.test(SimpleNamespace(test_dataloader=Data(d2l).val_dataloader))
    alive = weakref.ref(model), weakref.ref(trainer)
    del model, trainer
    gc.collect()
    assert [reference() for reference in alive] == [None, None]


def test_a_step_begins_with_its_batch_in_place():
    """A step that waits for its batch does so in a thread that has no memory yet."""
    trainer = d2l.Trainer(max_epochs=1)
    trainer.prepare_data(Data(d2l))
    batch = np.ones((2**26,), np.float32), np.ones(1)  # 256 MiB take a while
    assert all(array.is_ready() for array in trainer.prepare_batch(batch))


def test_training_leaves_earlier_arrays_alone():
    model = built(framework.Linear(), (1, 16, 16, 1))
    before = model.variables
    fit(model)
    after = model.variables["params"]
    fit(model)
    assert not same(before["params"], after)  # both can still be read
    assert not same(after, model.variables["params"])


def test_apply_init():
    model = framework.Linear()
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


def test_keys_differ_and_follow_pythons_seed():
    random.seed(0)
    first, second = d2l.get_key(), d2l.get_key()
    random.seed(0)
    assert first != second
    assert first == d2l.get_key()


def test_weights_follow_the_key():
    class Two(d2l.Classifier):
        lr: float = 0.0  # the weights stay what they are at first

        def setup(self):
            self.own = nn.Dense(8, kernel_init=d2l.init_cnn)
            self.flaxs = nn.Dense(10)

        def forward(self, X):
            return self.flaxs(self.own(X.reshape(len(X), -1)))

    def kernels(seed, key):
        model = Two()
        fit(model, seed, key=jax.random.key(key))
        return [np.array(w) for w in jax.tree.leaves(model.variables) if w.ndim == 2]

    five = kernels(0, key=5)
    assert len(five) == 2
    assert list(map(np.array_equal, five, kernels(1, key=5))) == [True, True]
    assert list(map(np.array_equal, five, kernels(0, key=6))) == [False, False]


def test_a_checkpoint_knows_the_key(tmp_path):
    def run(path, *keys):
        for max_epochs, key in enumerate(keys, 1):
            model = framework.Linear(dropout=0.5)
            trainer = d2l.Trainer(max_epochs, checkpoint=path)
            trainer.fit(model, Data(d2l), key=key)
        return model.variables

    one, two = jax.random.key(1), jax.random.key(2)
    for name, others in enumerate([(one, two), (one, None), (None, one)]):
        with pytest.raises(ValueError, match="of the same training, got key = "):
            run(tmp_path / f"{name}.npz", *others)
    resumed = run(tmp_path / "run.npz", one, jax.random.PRNGKey(1))
    whole = framework.Linear(dropout=0.5)
    d2l.Trainer(2).fit(whole, Data(d2l), key=one)
    assert same(resumed, whole.variables)


# Variables that a reader sets, and other collections.


class Normalized(framework.Linear):
    """With two statistics."""

    @nn.compact
    def __call__(self, X):
        X = nn.BatchNorm(use_running_average=not self.training)(X)
        return nn.Dense(10)(X.reshape(len(X), -1))


def test_statistics_are_part_of_the_weights():
    model, trainer = Normalized(), d2l.Trainer(1)
    X, params = jnp.ones((1, 16, 16, 1)), built(Normalized(), (1, 16, 16, 1)).variables
    model.variables = {"params": params["params"]}
    with pytest.raises(ValueError, match="must hold all 2 statistics .*, got 0: add "):
        trainer.fit(model, Data(d2l))
    model.variables = {**model.init(jax.random.key(0), X), "params": params["params"]}
    trainer.fit(model, Data(d2l))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_training_is_of_float32(dtype):
    """Weights of half precision begin as the same numbers in float32."""
    begun = built(Normalized(), (1, 16, 16, 1)).variables
    half = jax.tree.map(lambda a: a.astype(dtype), begun)
    trained = []
    for variables in (half, jax.tree.map(lambda a: a.astype(jnp.float32), half)):
        model = Normalized()
        model.variables = variables
        d2l.Trainer(1, precision="fp32").fit(model, Data(d2l))
        trained.append(model.variables)
    assert {a.dtype for a in jax.tree.leaves(trained)} == {np.dtype("float32")}
    assert same(*trained)


class Scaled(d2l.Classifier):
    """With a factor, which is 2, and a number of steps."""

    lr: float = 0.1
    counts: bool = False

    @nn.compact
    def __call__(self, X):
        factor = self.variable("constants", "factor", lambda: jnp.full((), 2.0))
        steps = self.variable("counters", "steps", lambda: jnp.zeros(()))
        if self.is_mutable_collection("counters") and not self.is_initializing():
            steps.value += 1
        return nn.Dense(10)(factor.value * X.reshape(len(X), -1))

    def loss(self, params, X, Y, state, averaged=True):
        if not self.counts:
            return super().loss(params, X, Y, state, averaged)
        variables = {"params": params, "counters": state.others["counters"]}
        Y_hat, updates = state.apply_fn(variables, *X, mutable=["counters"])
        losses = optax.softmax_cross_entropy_with_integer_labels(Y_hat, Y)
        return losses.mean(), updates


@pytest.mark.parametrize("counts", [False, True])
def test_other_collections(tmp_path, counts):
    class Doubled(d2l.Classifier):
        lr: float = 0.1

        @nn.compact
        def __call__(self, X):
            return nn.Dense(10)(2.0 * X.reshape(len(X), -1))

    trained = []
    for make in (Doubled, lambda: Scaled(counts=counts)):
        for max_epochs in (1, 2):
            model = make()
            path = tmp_path / f"{len(trained)}.npz"
            trainer = d2l.Trainer(max_epochs, checkpoint=path, precision="fp32")
            trainer.fit(model, Data(d2l))
        trained.append(model.variables)
    doubled, scaled = trained
    for found, expected in zip(
        *(jax.tree.leaves(v["params"]) for v in (scaled, doubled)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert scaled["constants"]["factor"] == 2
    assert scaled["counters"]["steps"] == (2 * 3 if counts else 0)
    model.variables = scaled | {"constants": {"factor": jnp.zeros(())}}
    trainer.test(SimpleNamespace(test_dataloader=Data(d2l).val_dataloader))
    bias = np.asarray(scaled["params"]["Dense_0"]["bias"], np.float64)
    y = d2l.numpy(Data(d2l).y)[20:]
    expected = np.log(np.exp(bias).sum()) - bias[y].mean()
    assert trainer.test_metrics["test_loss"] == pytest.approx(expected, rel=1e-5)


class Optimised(framework.Linear):
    """With any optimiser."""

    optim: object = None

    def configure_optimizers(self):
        return self.optim


class FromScratch:
    """d2l's own, section 3.4.3: its state is a class."""

    def init(self, params):
        return optax.EmptyState

    def update(self, updates, state, params=None):
        return jax.tree.map(lambda g: -0.1 * g, updates), state


@pytest.mark.parametrize("compile", [None, False])
def test_an_optimiser_from_scratch(compile):
    trained = []
    for optim in (FromScratch(), optax.sgd(0.1)):
        model = Optimised(optim=optim)
        d2l.Trainer(1, compile=compile).fit(model, Data(d2l))
        trained.append(model.variables)
    assert same(*trained)


@pytest.mark.parametrize("compile", [True, False])
def test_an_optimiser_that_reads_the_loss(compile):
    """The plateau has seen that of the only step."""
    chain = optax.chain(optax.sgd(0.1), optax.contrib.reduce_on_plateau())
    trainer = d2l.Trainer(1, compile=compile)
    trainer.fit(Optimised(optim=chain), Data(d2l, batch_size=20))
    seen = trainer.state.opt_state[1].best_value
    assert float(seen) == pytest.approx(trainer.history[0]["train_loss"], rel=1e-6)
    assert trainer.state.tx is chain


def test_averages_of_schedule_free(tmp_path):
    """The model is left with the mean of the sequence z; training goes on without it."""
    steps = []

    class Recording(d2l.Trainer):
        def train_step(self, batch):
            logged = super().train_step(batch)
            steps.append(jax.tree.map(np.array, self.state.opt_state.z))
            return logged

    def make():
        return Optimised(optim=optax.contrib.schedule_free_sgd(0.5, b1=0.5))

    whole = make()
    Recording(2).fit(whole, Data(d2l))
    mean = jax.tree.map(lambda *z: sum(z) / len(z), *steps)
    for found, expected in zip(
        *map(jax.tree.leaves, (whole.variables["params"], mean)), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    for epochs in (1, 2):
        resumed = make()
        trainer = d2l.Trainer(epochs, checkpoint=tmp_path / "run.npz")
        trainer.fit(resumed, Data(d2l))
    assert same(resumed.variables, whole.variables)
