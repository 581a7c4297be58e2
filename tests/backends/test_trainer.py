"""Training in each framework: what is measured, what a seed fixes, what stays as it was."""

import contextlib
import importlib
import random
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor, TimeoutError

import numpy as np
import pytest
from shared.frameworks import array, native, small
from shared.random_images import Data
from shared.selected import in_backends

from d2lext.core.densenet import initializers
from d2lext.core.training import checkpoint

pytestmark = pytest.mark.usefixtures("whole_runs")


@pytest.fixture(scope="module")
def fit(d2l):
    """A function that trains a model, on random images, and returns its trainer."""

    def fit(model, data=None, max_epochs=1, **options):
        trainer = d2l.Trainer(max_epochs=max_epochs, **options)
        trainer.fit(model, data or Data(d2l))
        return trainer

    return fit


@pytest.fixture
def built(d2l, framework):
    """A function that makes a linear model with its weights."""

    def make(**options):
        model = framework.Linear(**options)
        model.layer_summary(native(d2l, (1, 1, 16, 16)))
        return model

    return make


def same(arrays, others):
    """Whether arrays in order are equal bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(arrays, others, strict=True))


# What is taken.


@pytest.mark.parametrize("is_built", [True, False])
@pytest.mark.parametrize("arch", [(1,), (1, 1, 1, 1)])
def test_images_in_the_other_layout(d2l, fit, is_built, arch):
    """They are no network of as many channels as the images are high."""
    model, c = small(d2l, arch), 1
    if is_built:
        model.layer_summary(native(d2l, (1, c, 32, 32)))
    data, (n, *other) = Data(d2l), (32, c, 16, 16)
    if native(d2l, (n, *other))[1] == c:
        other = (16, 16, c)
    data.X = d2l.tensor(np.ones((n, *other), np.float32))
    with pytest.raises(ValueError, match="^DenseNet takes images .*, which looks like"):
        fit(model, data)


def test_a_summary_in_the_other_layout(d2l):
    model = small(d2l, (1,))
    other = (1, 16, 16, 1) if native(d2l, "nchw")[1] == "c" else (1, 1, 16, 16)
    with pytest.raises(ValueError, match="^DenseNet takes images .*, which looks like"):
        model.layer_summary(other)
    with pytest.raises(
        ValueError, match="no (weights|parameters) before its first input"
    ):
        d2l.get_weights(model)


def test_images_of_another_number_of_channels(d2l, fit):
    model = small(d2l, (1,))
    model.layer_summary(native(d2l, (1, 3, 16, 16)))
    with pytest.raises(ValueError, match="^DenseNet was built .* with c = 3, got "):
        fit(model)


@in_backends("torch", "mxnet", "jax", "tensorflow", slow=("jax",))
def test_images_of_another_type(d2l, backend, fit):
    """They become float32, as JAX and Keras let them."""

    def trained(dtype):
        model, data = small(d2l, (1,)), Data(d2l, batch_size=20)
        pixels = np.random.default_rng(0).integers(3, size=data.X.shape).astype(dtype)
        kept = {"dtype": dtype} if backend == "mxnet" else {}
        data.X = d2l.tensor(pixels, **kept)
        fit(model, data)
        return list(d2l.get_weights(model).values())

    expected = trained("float32")
    for dtype in ("float64", "float16", "uint8"):
        assert same(trained(dtype), expected), dtype


def test_nothing_to_train(d2l, backend, framework, built, fit):
    if backend == "jax":  # where an optimiser freezes, not the model
        model = framework.NoParameters()
    else:
        model = built()
        if backend == "torch":
            model.requires_grad_(False)
        elif backend == "mxnet":
            model.collect_params().setattr("grad_req", "null")
        else:
            model.net.trainable = False
    with pytest.raises(ValueError, match="^the loss must depend on at least one para"):
        fit(model)


def test_learning_rates(d2l, framework, fit):
    losses = {
        fit(framework.Linear(lr=lr)).history[0]["val_loss"]
        for lr in (0.5, np.float32(0.5))
    }
    assert len(losses) == 1
    for lr in ("0.5", np.nan):
        with pytest.raises(ValueError, match="^lr must be a finite number >= 0, got"):
            fit(framework.Linear(lr=lr))


@in_backends("jax", "tensorflow")
def test_a_learning_rate_may_be_a_schedule(d2l, framework, fit):
    """It begins with 0: after one step the weights are those of the beginning."""

    class Quiet(d2l.Trainer):
        def fit_epoch(self):
            self.first = framework.weights(self.model)
            super().fit_epoch()
            self.weights = framework.weights(self.model)

    for step, moves in ((100, False), (0, True)):
        data = Data(d2l)
        data.batch_size = 20  # one step
        trainer = Quiet(max_epochs=1)
        lr = framework.schedule(0.0, 0.1, step)
        trainer.fit(framework.Linear(lr=lr), data)
        assert same(trainer.first, trainer.weights) != moves


# What is measured and said.


def test_history_counts_every_validation_example_once(d2l, framework, fit):
    model, data = framework.Linear(), Data(d2l)
    first, entry = fit(model, data, max_epochs=2).history
    logits = framework.forward(model, data.X[20:])
    logits, y = d2l.numpy(logits).astype(np.float64), d2l.numpy(data.y)[20:]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -log_p[np.arange(len(y)), y].mean()
    assert entry["val_loss"] == pytest.approx(loss, rel=1e-5)
    assert entry["val_acc"] == pytest.approx((logits.argmax(1) == y).mean())
    keys = "epoch train_loss train_seconds val_loss val_acc val_seconds"
    assert list(entry) == list(first) == keys.split()
    assert (first["epoch"], entry["epoch"]) == (1, 2)


def test_weights_that_the_model_gets_later(d2l):
    """Training goes on with them, here without changing them, and a test measures them."""
    data, halves = Data(d2l, (1, 8, 8)), {}
    data.test_dataloader = data.val_dataloader

    class Halving(d2l.Trainer):
        def halve(self):
            weights = d2l.get_weights(self.model)
            halves.update({name: w / 2 for name, w in weights.items()})
            d2l.set_weights(self.model, halves)

        def fit_epoch(self):
            if self.epoch:
                self.halve()
            super().fit_epoch()

    small = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "num_classes": 10}
    model = d2l.DenseNetBC(lr=0.0, small_images=True, **small)
    trainer = Halving(2, precision="fp32")
    trainer.fit(model, data)
    weights = d2l.get_weights(model)
    trained = [name for name in weights if "running" not in name]
    assert same([weights[n] for n in trained], [halves[n] for n in trained])
    trainer.halve()
    trainer.test(data)
    X, y = array(d2l, data.X)[20:], d2l.numpy(data.y)[20:]
    logits = d2l.predict(model, np.ascontiguousarray(X)).astype(np.float64)
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y]
    assert trainer.test_metrics["test_loss"] == pytest.approx(losses.mean(), rel=1e-5)


PACKAGES = {
    "torch": ("torch",),
    "mxnet": ("mxnet",),
    "jax": ("jax", "flax", "optax"),
    "tensorflow": ("tensorflow", "keras"),
}


def test_report_and_plots(capsys, monkeypatch, d2l, backend, framework, fit):
    monkeypatch.setenv("D2LEXT_FAST", "1")
    model = framework.Linear()
    trainer = fit(model, num_gpus=1)
    said = capsys.readouterr().out
    assert "D2LEXT_FAST" in said
    assert ("No GPU found: training on the CPU" in said) == (d2l.num_gpus() == 0)
    assert ("CPU: " in said) == (d2l.num_gpus() == 0)
    compiled = "not compiled" if backend == "torch" else "compiled"
    assert f"; {trainer.used_precision} (auto), {compiled}; seed 0" in said
    modules = {name: importlib.import_module(name) for name in PACKAGES[backend]}
    versions = [f"{name} {module.__version__}" for name, module in modules.items()]
    assert ", ".join(versions) in said
    assert list(model.board.data) == ["train_loss", "val_loss", "val_acc"]


# What an author may write.


def test_own_loss_step_and_optimiser(d2l, framework, fit):
    """On two inputs, with clipped gradients."""

    class Doubled(framework.Regression):
        def training_step(self, *args):
            result = super().training_step(*args)
            l = result[0] if isinstance(result, tuple) else result
            self.plot("double", 2 * l, train=True)
            return result

    class TwoInputs(Data):
        def get_dataloader(self, train):
            loader = super().get_dataloader(train)
            return [(X[:, :2], X[:, 2:], y) for X, y in loader]

    model = Doubled()
    trainer = fit(model, TwoInputs(d2l, (5,)), 2, num_gpus=1, gradient_clip_val=1)
    first, last = trainer.history
    assert last["train_loss"] < first["train_loss"]
    assert last["val_loss"] < first["val_loss"]
    assert last["train_double"] == pytest.approx(2 * last["train_loss"])
    assert all(a.all() for a in framework.statistics(model))


@in_backends("jax", "tensorflow")  # in the others it is not steps that are compiled
def test_steps_are_compiled_once_for_each_size_of_batch(d2l, backend, framework, fit):
    calls = []

    class Counted(framework.Linear):
        def training_step(self, *args):
            calls.append(("train", num_examples(*args)))
            return super().training_step(*args)

        def validation_step(self, *args):
            calls.append(("val", num_examples(*args)))
            super().validation_step(*args)

        def configure_optimizers(self):
            return framework.adam(self)  # with a state of its own

    def num_examples(*args):
        [batch] = [a for a in args if isinstance(a, (list, tuple))]
        return batch[-1].shape[0]

    trainer = fit(Counted(), max_epochs=3)
    # The last batches are smaller.
    assert calls == [("train", 8), ("train", 4), ("val", 8), ("val", 4)]
    # A second program for the same size would need no second trace.
    if backend == "jax":
        assert trainer._compiled_train_step._cache_size() == 2
        assert trainer._compiled_eval_step._cache_size() == 2


@pytest.mark.parametrize("each", ["epoch", "step"])
def test_a_value_of_python_that_changes(d2l, backend, framework, tmp_path, each):
    """A compiled step reads it anew; one that reads another each time is not compiled."""

    class Reads(framework.Linear):
        def training_step(self, *args):
            [batch] = [a for a in args if isinstance(a, (list, tuple))]
            zero = 0 * d2l.reduce_sum(batch[0])
            self.plot("alpha", zero + self.trainer.alpha, train=True)
            return super().training_step(*args)

    class Changes(d2l.Trainer):
        alpha = 0.0

        def fit_epoch(self):
            if each == "epoch":
                self.alpha = 0.5 * self.epoch
            super().fit_epoch()

        def train_step(self, batch):
            if each == "step":
                self.alpha += 1.0
            return super().train_step(batch)

    def trainer(max_epochs):
        path = tmp_path / "training.npz"
        return Changes(max_epochs, precision="fp32", checkpoint=path, resume=True)

    begun, resumed = trainer(2), trainer(4)
    compiled = begun.compiled
    traced = backend in ("jax", "tensorflow")  # in the others it is not steps
    warned = traced and each == "step"
    expected = pytest.warns(
        UserWarning, match="^values of Python .* got other trainer."
    )
    with expected if warned else contextlib.nullcontext():
        begun.fit(Reads(), Data(d2l))
    resumed.fit(Reads(), Data(d2l))
    alphas = [entry["train_alpha"] for entry in resumed.history]
    # Means over 8, 8 and 4 examples.
    means = {"epoch": [0, 0.5, 1, 1.5], "step": [1.8, 4.8, 7.8, 10.8]}
    np.testing.assert_allclose(alphas, means[each], rtol=1e-6)
    assert begun.compiled == resumed.compiled == (compiled and not warned)


# What a seed fixes.


@pytest.fixture
def repeat(d2l, framework, fit):
    """A function that trains what `make` returns for seeds 0, 0, 1: losses, weights."""

    def run(make, seed):
        random.random()  # whatever comes between
        framework.seed(random.randrange(100))
        model = make()
        trainer = fit(model, Data(d2l, batch_size=4), seed=seed, max_epochs=2)
        losses = [entry["train_loss"] for entry in trainer.history]
        return losses, framework.weights(model)

    return lambda make: [run(make, seed) for seed in (0, 0, 1)]


def test_equal_seeds_give_equal_runs(framework, repeat):
    first, again, other = repeat(lambda: framework.Linear(dropout=0.5))
    assert first[0] == again[0] != other[0]
    assert same(first[1], again[1])
    assert not same(first[1], other[1])


@in_backends("torch", "mxnet", "tensorflow")  # long in JAX, but see test_checkpoints.py
def test_equal_seeds_give_equal_densenets(d2l, repeat):
    first, again, other = repeat(lambda: small(d2l))
    assert first[0] == again[0] != other[0]
    assert same(first[1], again[1])
    assert not same(first[1], other[1])


def test_a_seed_fixes_the_initial_weights(framework, fit):
    """At a learning rate of 0, they stay."""

    def initial(seed):
        model = framework.Linear(lr=0)
        fit(model, seed=seed)
        return framework.weights(model)

    first, again, other = map(initial, (0, 0, 1))
    assert any(a.any() for a in first)
    assert same(first, again)
    assert not same(first, other)


def test_threads_have_seeds_of_their_own(monkeypatch, d2l, framework):
    """Two trainers whose layers are drawn in turns give what each gives alone."""

    def initial(seed):
        model, trainer = small(d2l), d2l.Trainer(max_epochs=1, seed=seed)
        trainer.seed_framework()
        trainer.prepare_data(Data(d2l))
        trainer.prepare_model(model)
        return framework.weights(model)

    def in_turns(*args):
        turn.wait()
        return draw(*args)

    alone = [initial(seed) for seed in (0, 1)]
    turn, draw = threading.Barrier(2, timeout=60), initializers.draw_oihw
    monkeypatch.setattr(initializers, "draw_oihw", in_turns)
    with ThreadPoolExecutor(2) as threads:
        together = list(threads.map(initial, (0, 1)))
    assert all(map(same, alone, together))
    assert not same(*together)


def test_dropout_in_training_alone_and_another_one_each_step(d2l, built, fit):
    model, data = built(lr=0, dropout=0.5), Data(d2l, batch_size=20)
    runs = [fit(model, data, seed=s, max_epochs=3).history for s in (0, 0, 1)]
    losses = [[entry["train_loss"] for entry in history] for history in runs]
    assert losses[0] == losses[1] != losses[2]
    assert len(set(losses[0])) == 3
    assert len({entry["val_loss"] for history in runs for entry in history}) == 1


def test_built_weights_are_where_training_starts(framework, built, fit):
    model = built(lr=0)
    before = framework.weights(model)
    fit(model)
    assert same(before, framework.weights(model))


@pytest.mark.parametrize("stops", [False, True])
def test_random_numbers_go_on_after_fit(backend, d2l, framework, fit, stops):
    """As if there had been none: a random search around `fit` explores."""

    def drawn(seed, fits):
        framework.seed(seed), random.seed(seed), np.random.seed(seed)
        for _ in range(3):
            yield random.random(), np.random.rand(), framework.drawn()
            model, data = framework.Linear(dropout=0.5), Data(d2l)  # Keras draws, too
            data.val_dataloader = 5 if stops else data.val_dataloader
            if fits:
                with pytest.raises(TypeError) if stops else contextlib.nullcontext():
                    fit(model, data)

    with_fit, without = list(drawn(0, fits=True)), list(drawn(0, fits=False))
    if backend != "mxnet":
        assert with_fit == without
        return
    # MXNet does not show its state: what follows is another sequence, by its seed.
    assert [draw[:2] for draw in with_fit] == [draw[:2] for draw in without]
    assert with_fit == list(drawn(0, fits=True))
    others = list(drawn(1, fits=True))
    assert len({draw[2] for draw in with_fit + others}) == 6


def test_a_seed_fixes_what_a_loader_draws(d2l, framework, fit):
    """From the random numbers of Python and NumPy, whatever was drawn before."""

    class Drawn(Data):
        def get_dataloader(self, train):
            X, y = self.X, self.y
            for _ in range(2):
                first = random.randrange(16), np.random.randint(16)
                yield from ((X[i : i + 8], y[i : i + 8]) for i in first)

    def losses(seed):
        random.random(), np.random.rand()
        trainer = fit(framework.Linear(), Drawn(d2l), seed=seed, max_epochs=2)
        return trainer.history[-1]["train_loss"], trainer.history[-1]["val_loss"]

    first, again, other = map(losses, (0, 0, 1))
    assert first == again != other


def test_threads_that_fit(d2l, framework, fit):
    """The second waits: it would draw from the random numbers of the first."""

    def train(seed, meanwhile=lambda: None):
        class Noisy(Data):
            def get_dataloader(self, train):
                for X, y in super().get_dataloader(train):
                    meanwhile()
                    yield X * random.random() + np.random.rand(), y

        [entry] = fit(models.pop(), Noisy(d2l), seed=seed).history
        return entry["train_loss"], entry["val_loss"]

    def train_another():
        if not others:
            others.append(threads.submit(train, 1, lambda: time.sleep(0.1)))
        with contextlib.suppress(TimeoutError):
            others[0].result(timeout=0.2)

    models = [framework.Linear(dropout=0.5) for _ in range(5)]  # Keras draws for them
    alone, others = [train(0), train(1)], []
    with ThreadPoolExecutor(1) as threads:
        together = train(0, train_another)
    assert [together, others[0].result()] == alone
    train(0, lambda: fit(framework.Linear()))  # within, none waits


def test_a_thread_that_predicts_waits_for_the_step(d2l, framework, fit):
    """Half a step gives no logits, and evaluation in between changes no step."""

    class Watched(d2l.DenseNet):
        def plot(self, key, value, train):
            if not predicted:
                predicted.append(threads.submit(d2l.predict, self, X))
                with contextlib.suppress(TimeoutError):
                    predicted[0].result(timeout=0.5)
            super().plot(key, value, train)

    def train(kind):
        model = kind(num_channels=8, growth_rate=4, arch=(1,), lr=0.5)
        fit(model, Data(d2l, batch_size=20))  # one step
        return model

    X, predicted = np.random.default_rng(0).random((2, 1, 16, 16), np.float32), []
    with ThreadPoolExecutor(1) as threads:
        model = train(Watched)
    np.testing.assert_array_equal(predicted[0].result(), d2l.predict(model, X))
    assert same(framework.weights(model), framework.weights(train(d2l.DenseNet)))


# A model that was not fitted here.


def test_a_model_with_loaded_weights_is_tested(tmp_path, d2l, framework):
    """By its weights, which stay as they are: the oracle is NumPy."""
    options = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "in_channels": 1}
    first, model = (
        d2l.create_model("densenet_bc_100_12", seed=seed, **options) for seed in (1, 2)
    )
    d2l.save_weights(first, tmp_path / "w.safetensors")
    d2l.load_weights(model, tmp_path / "w.safetensors")
    data = Data(d2l)
    data.test_dataloader = data.val_dataloader
    trainer = d2l.Trainer(max_epochs=1)
    with pytest.raises(ValueError, match=r"pass one, as in test\(data, model\)"):
        trainer.test(data)
    with pytest.raises(TypeError, match=r"test\(data, model\) takes its batches from"):
        trainer.test(model, data)
    before, common = framework.weights(model), random.getstate()
    trainer.test(data, model)
    assert same(before, framework.weights(model))
    assert random.getstate() == common
    logits = d2l.predict(model, array(d2l, data.X)[20:]).astype(np.float64)
    y = d2l.numpy(data.y)[20:]
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    measured = trainer.test_metrics
    assert measured["test_loss"] == pytest.approx(
        -log_p[np.arange(len(y)), y].mean(), rel=1e-4
    )
    assert measured["test_acc"] == pytest.approx((logits.argmax(1) == y).mean())


def test_a_fitted_model_is_tested_by_its_weights_now(d2l, framework, fit):
    """Its curves stay."""
    model, data = framework.Linear(), Data(d2l)
    trainer = fit(model, data)
    curves = {name: list(line) for name, line in model.board.data.items()}
    data.test_dataloader = data.val_dataloader
    for tester in (trainer, d2l.Trainer(max_epochs=1)):
        tester.test(data, model)
        measured = trainer.history[-1]["val_loss"]
        assert tester.test_metrics["test_loss"] == pytest.approx(measured)
    assert curves
    assert {name: list(line) for name, line in model.board.data.items()} == curves


# What happens to the weights.


def test_gradients_are_clipped_to_their_joint_norm(d2l, framework, built, fit):
    model, data = built(lr=1), Data(d2l, batch_size=20)
    before = framework.weights(model)
    fit(model, data, gradient_clip_val=0.01)
    moved = [a - b for a, b in zip(framework.weights(model), before, strict=True)]
    norm = np.sqrt(sum((a**2).sum() for a in moved))
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_small_gradients_are_not_clipped(d2l, framework, fit):
    ends = []
    for limit in (1e6, 0):
        model = framework.Linear(lr=1)
        fit(model, Data(d2l, batch_size=20), gradient_clip_val=limit)
        ends.append(framework.weights(model))
    for limited, free in zip(*ends, strict=True):
        np.testing.assert_allclose(limited, free, rtol=1e-4, atol=1e-6)


def test_interrupted_training_keeps_its_weights(d2l, framework, built, fit):
    class Interrupted(Data):
        def get_dataloader(self, train):
            batches = super().get_dataloader(train)
            return Stops(batches) if train else batches

    class Stops(list):
        def __iter__(self):
            yield self[0]
            yield self[1]
            raise KeyboardInterrupt

    model = built()
    before = framework.weights(model)
    with pytest.raises(KeyboardInterrupt):
        fit(model, Interrupted(d2l))
    assert not same(before, framework.weights(model))


# What stops it.


def test_a_learning_rate_that_is_too_high(tmp_path, framework, fit):
    path = tmp_path / "one.npz"
    with pytest.raises(FloatingPointError) as caught:
        fit(framework.Linear(lr=1e38), max_epochs=9, checkpoint=path)
    said = str(caught.value)
    assert re.search(r"loss must stay finite, got -?(nan|inf) in epoch \d", said)
    assert "with lr=1e+38: lower the learning rate" in said
    _, arrays = checkpoint.load(path)
    saved = [a for name, a in arrays.items() if name.startswith("model/")]
    assert all(np.isfinite(a).all() for a in saved), "the checkpoint is of before"


@pytest.mark.parametrize("efficient", [None, False, True])
def test_out_of_memory(d2l, framework, efficient):
    """The advice is to save memory by what the model can and does not do."""
    if efficient is None:
        model = framework.Linear()
    else:
        options = {"arch": (1,), "growth_rate": 4, "num_channels": 8, "in_channels": 1}
        options["memory_efficient"] = efficient
        model = d2l.create_model("densenet_bc_100_12", **options)

    class Trainer(d2l.Trainer):
        def train_step(self, batch):
            raise framework.out_of_memory()

    with pytest.raises(MemoryError, match="got a batch_size of 8 that") as caught:
        Trainer(max_epochs=1).fit(model, Data(d2l))
    advice = ", or create the model with memory_efficient=True"
    assert str(caught.value).endswith(
        "lower batch_size" + advice * (efficient is False)
    )
