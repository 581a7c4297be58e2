"""DenseNet-121 from the frameworks' own libraries, beside ours.

Both networks share a process and run the same step: same framework, threads, allocator,
precision (float32), layout and compilation, plain SGD without momentum; ours with the
operations that our trainer substitutes. Batches are 8 images of 3x224x224, the size that
all these networks accept: Gluon's ends with 7x7 pooling.
"""

import contextlib
import importlib
import os

import numpy as np

from benchmarks.worker import timed
from d2lext.core.machine.allocator import keep_pages

BATCH, SIZE, CLASSES, LR = 8, 224, 10, 0.01
LIBRARIES = {
    "torch": "torchvision.models",
    "mxnet": "mxnet.gluon.model_zoo",
    "jax": "keras.applications on JAX",
    "tensorflow": "keras.applications",
}


def _ours(backend):
    d2l = importlib.import_module(f"d2lext.{backend}")
    return d2l.create_model("densenet121", num_classes=CLASSES, in_channels=3)


def _keras():
    import keras

    return keras.applications.DenseNet121(
        weights=None,
        input_shape=(SIZE, SIZE, 3),
        classes=CLASSES,
        classifier_activation=None,
    )


def _torch(X, y):
    import torch

    try:
        from torchvision.models import densenet121
    except (ImportError, RuntimeError) as error:  # it fits only one build of torch
        raise ImportError(
            f"torchvision is missing or does not fit this torch ({error}); the book "
            "does not need it"
        ) from error

    ours = _ours("torch")
    X = torch.from_numpy(X).to(memory_format=torch.channels_last)
    y = torch.from_numpy(y)

    def stepper(model):
        model.to(memory_format=torch.channels_last).train()
        optim = torch.optim.SGD(model.parameters(), lr=LR)

        def step():
            optim.zero_grad()
            torch.nn.functional.cross_entropy(model(X), y).backward()
            optim.step()

        return step

    return stepper(ours), stepper(densenet121(num_classes=CLASSES)), lambda: None


def _mxnet(X, y):
    ours = _ours("mxnet")
    from mxnet import autograd, gluon, nd, np, npx

    from d2lext.mxnet.speed import graphs

    def stepper(model, X, y):
        model.hybridize(static_alloc=True)
        loss = gluon.loss.SoftmaxCrossEntropyLoss()
        params = model.collect_params()
        optim = gluon.Trainer(params, "sgd", {"learning_rate": LR}, kvstore=None)

        def step():
            with autograd.record():
                l = loss(model(X), y).mean()
            l.backward()
            optim.step(1)

        return step

    @contextlib.contextmanager
    def old_arrays():
        # Gluon's network is written for MXNet's older arrays; the underlying operators
        # are the same.
        npx.reset_np()
        try:
            yield
        finally:
            npx.set_np()

    graphs.compile_faster(ours)  # as the trainer does; Gluon's has these operators
    step = stepper(ours, np.array(X), np.array(y))
    with old_arrays():
        peer = gluon.model_zoo.vision.densenet121(classes=CLASSES)
        peer.initialize()
        peer_step = stepper(peer, nd.array(X), nd.array(y))

    def step_of_peer():
        with old_arrays():
            peer_step()

    return step, step_of_peer, nd.waitall


def _jax(X, y):
    os.environ["KERAS_BACKEND"] = "jax"  # read when Keras is imported
    import jax
    import optax

    from d2lext.jax.speed.programs import faster

    ours, peer = _ours("jax"), _keras()
    apply = faster(ours.apply)  # as in the trainer
    X, y = jax.numpy.asarray(X.transpose(0, 2, 3, 1)), jax.numpy.asarray(y)

    def stepper(forward, params, statistics):
        """A step; `forward(params, statistics)` gives logits and new statistics."""

        def loss(params, statistics):
            logits, statistics = forward(params, statistics)
            fn = optax.softmax_cross_entropy_with_integer_labels
            return fn(logits, y).mean(), statistics

        def update(params, statistics):
            grads, statistics = jax.grad(loss, has_aux=True)(params, statistics)
            params = jax.tree.map(lambda p, g: p - LR * g, params, grads)
            return params, statistics

        compiled = jax.jit(update, donate_argnums=(0, 1))
        state = [params, statistics]

        def step():
            state[:] = compiled(*state)
            waiting[0] = state

        return step

    waiting = [None]

    def forward_ours(params, statistics):
        variables = {"params": params, "batch_stats": statistics}
        logits, updates = apply(
            variables,
            X,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.key(0)},
        )
        return logits, updates["batch_stats"]

    def forward_peer(params, statistics):
        return peer.stateless_call(params, statistics, X, training=True)

    variables = ours.variables
    return (
        stepper(forward_ours, variables["params"], variables["batch_stats"]),
        stepper(
            forward_peer,
            [v.value for v in peer.trainable_variables],
            [v.value for v in peer.non_trainable_variables],
        ),
        lambda: jax.block_until_ready(waiting[0]),
    )


def _tensorflow(X, y):
    ours = _ours("tensorflow")
    import keras
    import tensorflow as tf

    from d2lext.tensorflow.speed import normalization

    X, y = tf.constant(X.transpose(0, 2, 3, 1)), tf.constant(y)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def stepper(model, around):
        optim = keras.optimizers.SGD(LR)
        optim.build(model.trainable_variables)

        @tf.function(autograph=False)
        def step():
            with around(model), tf.GradientTape() as tape:
                l = loss(y, model(X, training=True))
            params = model.trainable_variables
            optim.apply_gradients(zip(tape.gradient(l, params), params, strict=True))
            return l

        return lambda: float(step())

    # As in the trainer: fused normalization.
    step = stepper(ours, normalization.fused)
    return step, stepper(_keras(), contextlib.nullcontext), lambda: None


_STEPPERS = {"torch": _torch, "mxnet": _mxnet, "jax": _jax, "tensorflow": _tensorflow}


class Peers:
    """Two steps to time, `ours` and `peer`."""

    def __init__(self, backend):
        rng = np.random.default_rng(0)
        X = rng.random((BATCH, 3, SIZE, SIZE), np.float32)
        dtype = np.int64 if backend == "torch" else np.int32
        y = rng.integers(0, CLASSES, BATCH).astype(dtype)
        keep_pages()
        ours, peer, self._wait = _STEPPERS[backend](X, y)
        self.steps = {"ours": ours, "peer": peer}
        self.step_s = dict.fromkeys(self.steps, float("inf"))  # before the first one
        names = {"torch": ("torch", "torchvision"), "mxnet": ("mxnet",)}
        self.versions = names.get(backend, (backend, "keras"))

    def prepare(self, which):
        """Make the first step, which compiles, and a second one."""
        first = self.step(which, 0)["step_s"]
        self.step(which, 0)
        return {"first_s": first}

    def step(self, which, turn_s):
        """Seconds per step, over as many as take about `turn_s`."""

        def run(steps):
            for _ in range(steps):
                self.steps[which]()
            self._wait()

        turn = timed(run, turn_s, self.step_s[which])
        self.step_s[which] = turn["step_s"]
        return turn


def start(backend, _):
    """Both networks of `backend`."""
    return Peers(backend)
