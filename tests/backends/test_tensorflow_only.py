"""What TensorFlow's backend has alone: Keras' own seeds and variables, its devices."""

import importlib
import threading

import numpy as np
import pytest
from shared.random_images import Data

pytest.importorskip("d2lext.tensorflow", exc_type=ImportError)

import keras
import tensorflow as tf
from keras import layers
from shared.frameworks import tensorflow as framework
from tensorflow.python.eager.context import context

from d2lext import tensorflow as d2l

pytestmark = pytest.mark.usefixtures("whole_runs")
Linear = framework.Linear


def fit(model, data=None, **options):
    d2l.Trainer(max_epochs=1, **options).fit(model, data or Data(d2l))


def test_layers_of_one_shape_start_with_different_weights():
    model = Linear(layers.Flatten(), layers.Dense(32), layers.Dense(32), lr=0)
    fit(model, Data(d2l, (32,)))
    first, second = model.net.layers[1:3]
    assert first.kernel.shape == second.kernel.shape == (32, 32)
    assert not np.array_equal(first.kernel, second.kernel)


def test_seed_leaves_own_initialisers_alone():
    mine = keras.initializers.RandomNormal(mean=5, stddev=0.1)
    seeded = keras.initializers.GlorotUniform(seed=3)
    model = Linear(
        layers.Flatten(),
        layers.Dense(64, kernel_initializer=mine, bias_initializer="ones"),
        layers.Dense(64, kernel_initializer=seeded),
        lr=0,
    )
    fit(model)
    _, first, second, *_ = model.net.layers
    assert first.kernel.numpy().mean() == pytest.approx(5, abs=0.01)
    assert first.kernel.numpy().std() == pytest.approx(0.1, rel=0.05)
    assert (first.bias.numpy() == 1).all()
    expected = keras.initializers.GlorotUniform(seed=3)((64, 64))
    assert np.array_equal(second.kernel, expected)


def test_module_within_a_module_trains():
    inner = d2l.Module()
    inner.net = keras.Sequential([layers.BatchNormalization()])
    fit(Linear(inner))
    assert inner.net.layers[0].moving_mean.numpy().all()


class OwnWeights(d2l.Classifier):
    """Its one parameter is the attribute `W`; `place` is the last forward's device."""

    lr = 0.1

    def __init__(self, make):
        super().__init__()
        self.W = make(d2l.zeros((16 * 16, 10)))

    def forward(self, X):
        self.place = context().device_name
        return d2l.matmul(d2l.reshape(X, (-1, 16 * 16)), self.W)


@pytest.mark.parametrize("make", [keras.Variable, tf.Variable])
def test_parameters_that_are_attributes(make):
    model = OwnWeights(make)
    fit(model)
    assert model.W.numpy().any()
    assert len(model.trainable_variables) == 1


def test_a_variable_that_keras_does_not_train_is_refused():
    model = OwnWeights(keras.Variable)
    model.more = [tf.Variable(0.0)]
    with pytest.raises(
        ValueError, match=r"tf.Variable as OwnWeights.more: make it with keras.Variable"
    ):
        fit(model)


class TrainingOnly(Data):
    """Without validation: `place` is the device of a training step."""

    def val_dataloader(self):
        return None


def test_training_within_a_device_of_tensorflow(monkeypatch):
    # Where there is no GPU, TensorFlow computes on the CPU by the GPU's name.
    monkeypatch.setattr(d2l.device._devices, "num_gpus", lambda: 1)
    trainer, data = d2l.Trainer(max_epochs=1), TrainingOnly(d2l)
    with d2l.try_gpu():
        model = OwnWeights(keras.Variable)
        trainer.fit(model, data)
    assert model.place.endswith("GPU:0")
    assert model.W.numpy().any()
    trainer.fit(OwnWeights(keras.Variable), data)
    assert trainer.model.place.endswith("CPU:0")


def test_keras_on_another_backend(monkeypatch):
    monkeypatch.setattr(keras.config, "backend", lambda: "jax")
    with pytest.raises(ImportError, match=r"runs on jax: restart Python and import"):
        importlib.reload(d2l.loading)


def test_python_decides_in_steps_that_are_not_compiled():
    seen = []

    class Looks(Linear):
        def training_step(self, batch):
            loss = super().training_step(batch)
            if loss.numpy() > 0:
                seen.append(float(loss))
            return loss

    fit(Looks(), compile=False)
    assert len(seen) == 3
    with pytest.raises(AttributeError, match="numpy"):
        fit(Looks(), compile=True)


def test_each_thread_has_its_own_mode():
    """A prediction in one thread leaves a training step in another as it is."""
    outputs = []

    class Looks(Linear):
        def training_step(self, batch):
            for _ in range(2):
                thread = threading.Thread(target=lambda: outputs.append(self(batch[0])))
                thread.start()
                thread.join()
            assert self.training
            return super().training_step(batch)

    fit(Looks(dropout=0.5, lr=0), compile=False)
    for first, second in zip(outputs[::2], outputs[1::2], strict=True):
        assert np.array_equal(first, second)


class Penalised(d2l.Classifier):
    """Its layers add to the loss; `reads` is the part that its own loss adds itself."""

    lr = 0.5

    def __init__(self, optimizer=None, reads=lambda net: []):
        super().__init__()
        l2, l1 = keras.regularizers.L2(0.1), keras.regularizers.L1(0.1)
        hidden = layers.Dense(4, kernel_regularizer=l2, activity_regularizer=l1)
        self.net = keras.Sequential(
            [layers.Flatten(), hidden, layers.Dense(10, bias_regularizer=l2)]
        )
        self.optimizer, self.reads = optimizer, reads

    def loss(self, *args, **kwargs):
        return sum(self.reads(self.net), super().loss(*args, **kwargs))

    def configure_optimizers(self):
        return self.optimizer or keras.optimizers.SGD(self.lr)


def trained(model, max_epochs=2, **options):
    """The weights after training from those that are all 0.1."""
    model(Data(d2l).X)
    model.set_weights([0 * w + 0.1 for w in model.get_weights()])
    trainer = d2l.Trainer(max_epochs, precision="fp32", **options)
    trainer.fit(model, Data(d2l))
    return [w.copy() for w in model.get_weights()]


SGD = keras.optimizers.SGD
OPTIMIZERS = {
    "plain": lambda: SGD(0.5),
    "scaled": lambda: SGD(0.5, loss_scale_factor=1024.0),
    "dynamic": lambda: keras.optimizers.LossScaleOptimizer(SGD(0.5)),
    "averaged": lambda: SGD(0.5, use_ema=True, ema_momentum=0.5),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_as_keras_fits(name):
    """Penalties of layers, scaled losses and averaged weights are those of its `fit`."""
    found = trained(Penalised(OPTIMIZERS[name]()))
    net, data = Penalised().net, Data(d2l)
    net(data.X)
    net.set_weights([0 * w + 0.1 for w in net.get_weights()])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    net.compile(OPTIMIZERS[name](), loss)
    net.fit(data.X[:20], data.y[:20], 8, epochs=2, shuffle=False, verbose=0)
    for array, expected in zip(found, net.get_weights(), strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "reads", [lambda net: net.losses, lambda net: net.layers[1].losses]
)
def test_penalties_that_a_model_adds_itself(reads):
    for array, expected in zip(
        trained(Penalised(reads=reads)), trained(Penalised()), strict=True
    ):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6)


def test_clipped_gradients_are_not_those_of_the_scaled_loss():
    found = trained(Penalised(OPTIMIZERS["dynamic"]()), gradient_clip_val=0.1)
    for array, expected in zip(
        found, trained(Penalised(), gradient_clip_val=0.1), strict=True
    ):
        np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6)


class Own:
    """An optimiser of a reader's, with a step count and one of Keras' optimisers within."""

    def __init__(self, build):
        self.step = keras.Variable(0.0, trainable=False)
        self.inner, self.build = SGD(0.5, momentum=0.9), build

    def apply_gradients(self, pairs):
        self.step.assign_add(1)
        scale = 1 / self.step.value
        self.inner.apply_gradients([(scale * g, v) for g, v in pairs])


class Owned(Penalised):
    def configure_optimizers(self):
        own = Own(self.optimizer)
        if own.build:
            own.inner.build(self.trainable_variables)
        return own


@pytest.mark.parametrize(
    "make",
    [lambda: Penalised(OPTIMIZERS["averaged"]()), lambda: Owned(optimizer=True)],
    ids=["averaged", "own"],
)
def test_what_an_optimiser_keeps_is_resumed(tmp_path, make):
    """Also the weights of which Keras' optimiser takes averages."""
    whole = trained(make())
    for epochs in (1, 2):
        resumed = trained(make(), epochs, checkpoint=tmp_path / "run.npz")
    for array, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_an_optimiser_that_its_first_step_builds(tmp_path):
    options = {"checkpoint": tmp_path / "run.npz"}
    whole = trained(Owned(), 2)
    for epochs in (1, 2):
        resumed = trained(Owned(), epochs, **options)
    for array, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(array, expected)


class Second(Penalised):
    """With another network, which another optimiser trains."""

    def __init__(self):
        super().__init__()
        self.second = keras.optimizers.Adam(0.1)
        self.other = layers.Dense(10, "relu")
        self.other.build((None, 16 * 16))

    def training_step(self, batch):
        X, y = batch
        with tf.GradientTape() as tape:
            loss = self.loss(self.other(tf.reshape(X, (-1, 16 * 16))), y)
        variables = self.other.trainable_variables
        self.second.apply(tape.gradient(loss, variables), variables)
        return super().training_step(batch)


class KerasDraws(Linear):
    def draw(self, shape):
        return keras.random.normal(shape)

    def training_step(self, batch):
        X, y = batch
        return super().training_step((X + self.draw(X.shape), y))


class TensorFlowDraws(KerasDraws):
    def draw(self, shape):
        return tf.random.normal(shape)


class GeneratorDraws(KerasDraws):
    def __init__(self):
        super().__init__()
        self.source = tf.random.Generator.from_seed(1)

    def draw(self, shape):
        return self.source.normal(shape)


class Source:
    def __init__(self):
        self.seeds = [keras.random.SeedGenerator(3)]


class SourceDraws(KerasDraws):
    def __init__(self):
        super().__init__()
        self.source = Source()

    def draw(self, shape):
        return keras.random.normal(shape, seed=self.source.seeds[0])


@pytest.mark.filterwarnings("ignore:Gradients do not exist")  # of the other network
@pytest.mark.parametrize("compile", [True, False])
@pytest.mark.parametrize(
    "kind", [Second, KerasDraws, GeneratorDraws, SourceDraws, TensorFlowDraws]
)
def test_what_a_step_draws_and_another_optimiser_are_resumed(tmp_path, kind, compile):
    if (kind, compile) == (TensorFlowDraws, True):
        pytest.skip("TensorFlow does not say where its operations are")
    options = {"compile": compile}
    whole = trained(kind(), **options)
    options["checkpoint"] = tmp_path / "run.npz"
    for epochs in (1, 2):
        resumed = trained(kind(), epochs, **options)
    for array, expected in zip(resumed, whole, strict=True):
        np.testing.assert_array_equal(array, expected)


def test_a_layer_that_the_forward_pass_does_not_build():
    model = Linear()
    model.other = layers.Dense(3)
    fit(model)
    assert not model.other.built


class OwnStep(Penalised):
    """With a step of Keras' own `fit`, as its guide writes it."""

    def train_step(self, batch):
        X, y = batch
        with tf.GradientTape() as tape:
            loss = self.loss(self(X, training=True), y)
        grads = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(grads, self.trainable_variables)
        return {"loss": loss}


def test_keras_needs_no_loss_where_it_computes_none():
    """A prediction, an own step; otherwise Keras says that there is none."""
    data, model = Data(d2l), OwnStep()
    model.compile()
    model.predict(data.X, verbose=0)
    model.compile(SGD(0.5))
    before = model.get_weights()
    with tf.GradientTape() as tape:
        loss = model.loss(model(data.X), data.y)
    grads = tape.gradient(loss, model.trainable_variables)
    model.fit(data.X, data.y, batch_size=32, verbose=0)  # one step
    for array, w, grad in zip(model.get_weights(), before, grads, strict=True):
        np.testing.assert_allclose(array, w - 0.5 * grad, rtol=1e-4, atol=1e-6)
    plain = Linear()
    plain(data.X)
    plain.compile("sgd")
    with pytest.raises(ValueError, match="No loss to compute"):
        plain.fit(data.X, data.y, verbose=0)
    plain.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain.fit(data.X, data.y, verbose=0)
    assert np.isfinite(float(plain.loss(plain(data.X), data.y)))
