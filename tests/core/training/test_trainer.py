"""A training without a framework: what it says while it runs, and when it must stop."""

import contextlib
import functools
import itertools
import math
import os
import pty
import re
import signal
import sys
import termios
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tqdm
from shared.numpy_trainer import NUM_STEPS, Data, Model, Trainer, fit

from d2lext.core.data.datamodule import DataModule
from d2lext.core.module import Module, check_labels
from d2lext.core.training import progress, randomness
from d2lext.core.training.averages import Averages

pytestmark = pytest.mark.usefixtures("whole_runs")


# Options.


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"precision": "fp16"}, "'auto', 'bf16' or 'fp32', got 'fp16'"),
        ({"precision": None}, "'auto', 'bf16' or 'fp32', got None"),
        ({"max_epochs": 0}, "max_epochs must be an integer >= 1, got 0"),
        ({"max_epochs": 1.5}, "max_epochs must be an integer >= 1, got 1.5"),
        ({"num_gpus": -1}, "num_gpus must be an integer >= 0, got -1"),
        ({"num_gpus": "all"}, "num_gpus must be an integer >= 0, got 'all'"),
        ({"gradient_clip_val": -1}, "gradient_clip_val must be a finite .*, got -1"),
        ({"gradient_clip_val": math.nan}, "gradient_clip_val must .*, got nan"),
        ({"gradient_clip_val": "1"}, "gradient_clip_val must be .*, got '1'"),
        ({"seed": None}, r"seed must be an integer >= 0 and < 2\*\*32, got None"),
        ({"seed": 2**70}, "seed must be an integer .*, got 1180591620717411303424"),
        ({"seed": -1}, "seed must be an integer .*, got -1"),
        ({"compile": "yes"}, "compile must be None, True or False, got 'yes'"),
        ({"deterministic": "warn"}, "deterministic must be .*, got 'warn'"),
        ({"checkpoint": "/"}, "checkpoint must be a file, got /, but it is a folder"),
        (
            {"checkpoint": "s3://a/b"},
            "checkpoint must be .* this machine, got .*s3://a/b",
        ),
    ],
)
def test_bad_options(options, rule):
    with pytest.raises(ValueError, match=rule):
        Trainer(**options)


def test_options_that_mean_what_others_do(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    trainer = Trainer(
        np.int64(2),
        num_gpus=True,  # as of torch.cuda.is_available()
        gradient_clip_val=None,
        seed=np.uint32(2**32 - 1),
        compile=np.bool_(True),
        checkpoint="~/run.npz",
    )
    assert trainer.hparams["seed"] is trainer.seed
    assert (type(trainer.max_epochs), type(trainer.seed)) == (int, int)
    assert (trainer.max_epochs, trainer.seed) == (2, 4294967295)
    assert (trainer.num_gpus, trainer.gradient_clip_val) == (1, 0)
    assert trainer.compiled is True
    assert trainer.checkpoint == Path("/home/ada/run.npz")


def test_what_is_no_data():
    with pytest.raises(
        TypeError, match=r"train_dataloader\(\), which list lacks: pass a"
    ):
        fit(data=[1, 2])


class OfSGD(Module):
    """Its options, as its optimiser gets them."""

    def __init__(self, lr, momentum=0, weight_decay=0):
        super().__init__()
        self.save_hyperparameters()


@pytest.mark.parametrize("lr", ["0.1", None, math.nan, math.inf, -1, [0.1], abs, True])
def test_bad_learning_rates(lr):
    with pytest.raises(ValueError, match="^lr must be a finite number >= 0, got "):
        OfSGD(lr).sgd_options()


@pytest.mark.parametrize(
    ("options", "name"),
    [({"momentum": "0.9"}, "momentum"), ({"weight_decay": -1e-4}, "weight_decay")],
)
def test_other_bad_options_of_sgd(options, name):
    with pytest.raises(ValueError, match=f"^{name} must be a finite number >= 0, got "):
        OfSGD(0.1, **options).sgd_options()


def test_options_of_sgd():
    assert OfSGD(np.float32(0.1), np.float64(0.9)).sgd_options() == (0.1, 0.9, 0)
    assert OfSGD(np.array(0.5)).sgd_options() == (0.5, 0, 0)  # as a tensor's number
    assert OfSGD(abs).sgd_options(schedules=True) == (abs, 0, 0)
    assert [type(n) for n in OfSGD(1, 0).sgd_options()] == [float] * 3  # Keras insists


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "an abacus; fp32 (auto), not compiled; seed 0"),
        ({"precision": "bf16", "seed": 3}, "an abacus; bf16, not compiled; seed 3"),
        ({"precision": "fp32", "compile": True}, "an abacus; fp32, compiled; seed 0"),
    ],
)
def test_it_says_how_it_computed(capsys, options, said):
    fit(**options)
    assert said in capsys.readouterr().out.splitlines()


def test_options_of_the_next_fit(capsys):
    """They are attributes, checked and used as in the constructor."""
    trainer, _ = fit(precision="fp32", compile=False)
    trainer.precision, trainer.compile, trainer.num_gpus = "bf16", True, 1
    trainer.fit(Model(), Data())
    said = capsys.readouterr().out
    assert "No GPU found" in said
    assert said.index("fp32, not compiled; ") < said.index("bf16, compiled; ")
    trainer.gradient_clip_val = -1
    with pytest.raises(ValueError, match="^gradient_clip_val must be .*, got -1"):
        trainer.fit(Model(), Data())


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_a_gpu_that_is_not_there(capsys, num_gpus):
    fit(num_gpus=num_gpus)
    assert ("No GPU found" in capsys.readouterr().out) == bool(num_gpus)


def test_why_no_gpu_is_there(capsys, monkeypatch):
    """The framework's own reason follows; without one the line is as it was."""
    monkeypatch.setattr(Trainer.devices, "why_no_gpu", lambda: "It has left: call it")
    fit(num_gpus=1)
    assert (
        "No GPU found: training on the CPU, which takes longer. It has left: call it.\n"
    ) in capsys.readouterr().out


class OnGPUs(Trainer):
    """Trains on as many GPUs as it asks for."""

    devices = SimpleNamespace(num_gpus=lambda: 4, gpu=lambda i: f"gpu {i}")

    def find_device(self):
        return self.gpus[0]


@pytest.mark.parametrize("num_gpus", [1, 2, 8])
def test_several_gpus(capsys, num_gpus):
    trainer = OnGPUs(num_gpus=num_gpus)
    trainer.fit(Model(), Data())
    assert trainer.device == "gpu 0"
    said = f"num_gpus={num_gpus}: a training uses one GPU.\n"
    assert (said in capsys.readouterr().out) == (num_gpus > 1)


def test_without_gpus_none_is_looked_for(monkeypatch):
    """Looking would start the driver."""
    monkeypatch.setattr(OnGPUs.devices, "num_gpus", None)
    assert OnGPUs(num_gpus=0).gpus == []


# Loaders.


class Counter(Trainer):
    """Sees batches go by."""

    def train_step(self, batch):
        return {"train_loss": batch[0]}

    def eval_step(self, batch):
        return {"val_loss": batch[0]}


def generator():
    for i in range(5):
        yield i, [0, 0]


class Unsized:
    __iter__ = staticmethod(generator)


@pytest.mark.parametrize(
    ("make", "points"),
    [
        (lambda: list(generator()), [(0.6, 1), (1, 3.5), (1.6, 1), (2, 3.5)]),
        (generator, [(1, 2), (2, 2)]),
        (Unsized, [(1, 2), (2, 2)]),
    ],
)
@pytest.mark.parametrize("validate", [True, False])
def test_any_iterable_is_a_loader(make, points, validate):
    class Any(DataModule):
        def train_dataloader(self):
            return make()

        def val_dataloader(self):
            return make() if validate else None

    trainer, model = Counter(max_epochs=2), Model()
    trainer.fit(model, Any())
    assert [entry["train_loss"] for entry in trainer.history] == [2, 2]
    assert [entry.get("val_loss") for entry in trainer.history] == [
        2 if validate else None
    ] * 2
    assert model.board.data["train_loss"] == [pytest.approx(p) for p in points]


def test_no_data():
    class Empty(DataModule):
        def get_dataloader(self, train):
            return []

    with pytest.raises(ValueError, match="at least one batch, got none from Empty"):
        Counter(max_epochs=1).fit(Model(), Empty())


def test_data_keep_a_seed_of_their_own():
    """It decides what they hold out. The order follows the trainer's, in each fit."""

    class Split(Data):
        def __init__(self, seed):
            super().__init__()
            self.save_hyperparameters()

    class Fixed(Data):
        seed = 0

    later = Data()
    later.seed = 0
    for data in (Split(seed=0), Fixed(), later):
        for seed in (5, 0, 6):
            trainer, _ = fit(data=data, seed=seed, max_epochs=1)
            assert (data.seed, trainer.train_dataloader.seed) == (0, seed)
    data = Data()
    for seed in (5, 0, 6):
        trainer, _ = fit(data=data, seed=seed, max_epochs=1)
        assert (data.seed, trainer.train_dataloader.seed) == (seed, seed)


# Averages.


def test_averages_of_some_batches():
    averages = Averages()
    for value, number in [(1, 8), (2, 8), (5, 4)]:
        averages.add({"loss": value}, number)
    assert averages.means() == {"loss": (8 + 16 + 20) / 20}
    assert averages.means(1) == {"loss": (16 + 20) / 12}
    assert averages.means(0, 2) == {"loss": 1.5}
    assert (len(averages), averages.num_examples) == (3, 20)


def test_averages_of_values_that_not_every_batch_has():
    averages = Averages()
    averages.add({"loss": 1.0}, 3)
    averages.add({"loss": 2.0, "acc": 0.5}, 1)
    assert averages.means() == {"loss": 1.25, "acc": 0.5}
    assert Averages().means() == {}


def test_averages_read_each_value_once():
    class OnADevice(float):
        reads = 0

        def __float__(self):
            OnADevice.reads += 1
            return 7.0

    averages = Averages()
    averages.add({"loss": OnADevice()}, 2)
    assert OnADevice.reads == 0, "reading waits for the device"
    assert averages.means() == averages.means() == {"loss": 7.0}
    assert OnADevice.reads == 1
    again = Averages(averages.floats())
    assert again.means() == {"loss": 7.0}


# A loss that is no number.


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_must_be_finite(value):
    model = Model(lr=0.25)

    class Spoilt(Trainer):
        def train_step(self, batch):
            logged = super().train_step(batch)
            return {"train_loss": value} if self.train_batch_idx == 6 else logged

    trainer = Spoilt(3)
    with pytest.raises(FloatingPointError) as caught:
        trainer.fit(model, Data())
    said = str(caught.value)
    assert f"the training loss must stay finite, got {value}" in said
    assert "in epoch 2 with lr=0.25: " in said
    assert "lower the learning rate or set gradient_clip_val" in said
    assert "fp32" not in said, "which it is already"
    assert trainer.train_batch_idx <= 8, "not an epoch later"
    assert len(trainer.history) == 1


def test_a_loss_in_bfloat16_may_be_saved_by_float32():
    model = Model()
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(FloatingPointError, match="try precision='fp32'"),
    ):
        fit(model=model, precision="bf16", before_step=lambda i: model.w.fill(np.inf))


def test_weights_that_are_no_numbers_at_the_start():
    model = Model()
    model.w[1] = np.nan
    with pytest.raises(FloatingPointError, match="before the first step, got NaN"):
        fit(model=model)


def test_a_metric_in_validation_need_not_be_a_number():
    class Undefined(Trainer):
        def eval_step(self, batch):
            return super().eval_step(batch) | {"val_recall": float("nan")}

    trainer = Undefined(1)
    trainer.fit(Model(), Data())
    assert np.isnan(trainer.history[0]["val_recall"])


# Data that explain it.


class Spoilt(Data):
    """One number of an example is not finite."""

    def __init__(self, name, i, value):
        super().__init__()
        getattr(self, name).reshape(40, -1)[i, -1] = value


class Hidden(Trainer):
    """Shows losses that look fine, as a network does whose ReLU hides NaN."""

    def train_step(self, batch):
        super().train_step(batch)
        return {"train_loss": 1.0}


def test_the_number_that_spoils_the_weights_is_named():
    """Its batch is that of the shuffled epoch."""
    order = np.random.Generator(np.random.PCG64([0, 0])).permutation(26)
    number, i = divmod(int(np.flatnonzero(order == 11)[0]), 8)
    with (
        np.errstate(invalid="ignore"),
        pytest.raises(
            FloatingPointError, match="the weights must stay finite"
        ) as caught,
    ):
        Hidden(3).fit(Model(), Spoilt("X", 11, -np.inf))
    said = str(caught.value)
    assert f"the training set has -inf at index {i} of batch {number + 1}: " in said


def test_a_target_that_is_no_number():
    with pytest.raises(FloatingPointError) as caught:
        fit(data=Spoilt("y", 30, np.nan))
    said = str(caught.value)
    assert "the validation loss must stay finite, got nan in epoch 1: the" in said
    assert "validation set has the label nan at index 4 of batch 1: correct" in said


def test_data_that_cannot_be_read_again():
    class Batches(list):
        reads = 0

        def __iter__(self):
            Batches.reads += 1
            if Batches.reads > 2:  # the sample, and an epoch
                raise OSError("the connection is closed")
            return super().__iter__()

    data = Data()
    batches = Batches(data.train_dataloader())
    data.train_dataloader = lambda: batches
    model = Model()
    with pytest.raises(FloatingPointError, match="with lr=0.01: lower the learning"):
        fit(model=model, data=data, before_step=lambda i: model.w.fill(np.nan))


# A batch of one example.


class OneValue(Trainer):
    """In a batch of one example, a normalization would see one value per channel."""

    def values_per_channel(self, batch):
        return [4 * len(batch[-1]), len(batch[-1])]


@pytest.mark.parametrize(("batch_size", "number"), [(1, 1), (5, 6), (25, 2)])
def test_batches_of_one_of_26_examples(batch_size, number):
    trainer = OneValue(1)
    with pytest.raises(ValueError, match=f"got a single one in batch {number} of the"):
        trainer.fit(Model(), Data(batch_size))
    assert trainer.train_batch_idx == 0


@pytest.mark.parametrize("batch_size", [2, 8, 13, 26])
def test_no_batch_of_one_of_26_examples(batch_size):
    OneValue(1).fit(Model(), Data(batch_size))


def test_a_batch_of_one_where_each_channel_has_several_values():
    trainer, _ = fit(data=Data(25))
    assert trainer.num_train_examples == 26


def test_a_batch_of_one_that_a_short_run_does_not_reach(monkeypatch):
    monkeypatch.setenv("D2LEXT_FAST", "1")
    OneValue(1).fit(Model(), Data(5))


@pytest.mark.parametrize("drop_last", [True, False])
def test_a_loader_like_pytorchs(drop_last):
    class Loader:
        dataset, batch_size = range(9), 4

        def __iter__(self):
            X, y = Data().X, Data().y
            ends = (4, 8) if self.drop_last else (4, 8, 9)
            return iter([(X[:i][-4:], y[:i][-4:]) for i in ends if i < 9])

    Loader.drop_last = drop_last
    data, trainer = Data(), OneValue(1)
    data.train_dataloader = Loader
    if drop_last:
        trainer.fit(Model(), data)
    else:
        with pytest.raises(ValueError, match="got a single one"):
            trainer.fit(Model(), data)


# Memory.


@pytest.mark.parametrize("option", [None, False, True])
@pytest.mark.parametrize(
    "text", ["RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.", "out of memory"]
)
def test_out_of_memory(text, option):
    model = Model()
    if option is not None:
        model.memory_efficient = option

    def fail(i):
        raise RuntimeError(text)

    with pytest.raises(MemoryError) as caught:
        fit(model=model, before_step=fail)
    assert "memory of an abacus, got a batch_size of 8" in str(caught.value)
    assert "lower batch_size" in str(caught.value)
    # Only where it helps: the model has it, and does not use it.
    assert ("memory_efficient=True" in str(caught.value)) == (option is False)
    assert text in str(caught.value.__cause__)


def test_other_errors_stay_what_they_are():
    def fail(i):
        raise ValueError("out of range")

    with pytest.raises(ValueError, match="^out of range$"):
        fit(before_step=fail)


# The bar.


@pytest.fixture
def enabled(monkeypatch):
    """The bar as it is where TQDM_DISABLE is not set; tests may run where it is."""
    options = {"disable": False, "mininterval": 0}
    monkeypatch.setattr(progress, "tqdm", functools.partial(tqdm.tqdm, **options))


@contextlib.contextmanager
def terminal():
    """Within the block standard error is a terminal; yields a list for what it got."""
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    content, shown, before = b"", [], sys.stderr

    def read():
        nonlocal content
        with contextlib.suppress(OSError):  # what Linux says at the end
            while part := os.read(reader, 10_000):
                content += part

    thread = threading.Thread(target=read)
    thread.start()
    sys.stderr = os.fdopen(writer, "w", encoding="utf-8")
    try:
        yield shown
    finally:
        sys.stderr.close()
        sys.stderr = before
        thread.join(10)
        os.close(reader)
        shown.append(content.decode())


def test_bar_in_a_terminal(enabled):
    with terminal() as shown:
        fit()
    states = [state for state in re.split(r"[\r\n]", shown[0]) if state.strip()]
    pattern = r"epoch (\d)/3: +(\d+)%\|.*\| (\d+)/18 \[00:00<(00:00|\?), .*batch"
    found = [re.match(pattern, state) for state in states if "epoch" in state]
    assert len(found) == 18
    assert all(found), states
    assert [m[1] for m in found] == ["1"] * 6 + ["2"] * 6 + ["3"] * 6
    assert [int(m[3]) for m in found] == list(range(1, 19))
    assert found[-1][2] == "100"
    rates = [re.search(r"([\d.]+)(k?batch/s|s/batch)", s) for s in states[3:]]
    assert all(float(rate[1]) > 0 for rate in rates)
    assert all(len(state) <= 79 for state in states)
    assert re.search(r"\r +\r$", shown[0]), "nothing stays"


def test_bar_goes_on_where_the_training_does(enabled, monkeypatch, tmp_path):
    fit(checkpoint=tmp_path / "one.npz", max_epochs=2)
    bars, make = [], progress.tqdm
    monkeypatch.setattr(
        progress, "tqdm", lambda **options: bars.append(make(**options)) or bars[-1]
    )
    with terminal() as shown:
        fit(checkpoint=tmp_path / "one.npz")
    assert " 13/18 [" in shown[0]
    # Batches of an earlier process would make this one look fast.
    assert (bars[0].initial, bars[0].n) == (12, 18)


def test_bar_after_an_exception_leaves_the_terminal_clean(enabled):
    def fail(i):
        if i == 3:
            raise ValueError("three")

    with terminal() as shown, pytest.raises(ValueError, match="three"):
        fit(before_step=fail)
    assert re.search(r"\r +\r$", shown[0])


def test_bar_with_a_loader_of_unknown_length(enabled):
    class Generated(Data):
        def get_dataloader(self, train):
            return iter(super().get_dataloader(train))

    with terminal() as shown:
        fit(data=Generated())
    assert re.search(r"epoch 3/3:[ :]+18batch \[00:00, .*batch/s\]", shown[0])


def test_no_bar_without_a_watcher(enabled, capfd, monkeypatch):
    fit()
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(sys, "stderr", None)  # as in pythonw
    fit()


def test_steps_of_an_epoch():
    assert len(Data().train_dataloader()) == NUM_STEPS


def test_batches_that_can_be_read_only_once():
    class Kept(Data):
        def __init__(self):
            super().__init__()
            self.kept = iter([(self.X, self.y)] * 9)

        def get_dataloader(self, train):
            return self.kept

    with pytest.raises(ValueError, match="again in each epoch, got the same list_iter"):
        fit(data=Kept())


class Batched:
    """Batches with a size, as those of tf.data, Keras and Grain tell it."""

    def __init__(self, **size):
        vars(self).update(size, take=None)

    def __len__(self):
        return self.length

    def __iter__(self):
        yield from Data().train_dataloader()


@pytest.mark.parametrize(
    ("loader", "endless"),
    [
        (itertools.cycle(Data().train_dataloader()), True),
        (itertools.repeat(next(iter(Data().train_dataloader()))), True),
        (Batched(cardinality=lambda: -1), True),
        (Batched(cardinality=lambda: -2, length=4), False),  # unknown
        (Batched(num_batches=None), True),
        (Batched(length=sys.maxsize), True),
        (Batched(length=4), False),
    ],
)
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_loader_without_an_end(loader, endless, part):
    data = Data()
    setattr(data, f"{part}_dataloader", lambda: loader)
    trainer, _ = fit(max_epochs=1)
    run = trainer.test if part == "test" else functools.partial(trainer.fit, Model())
    rule = f"^a loader must end.*got a {type(loader).__name__} .* loader.take"
    with pytest.raises(ValueError, match=rule) if endless else contextlib.nullcontext():
        run(data)


def test_a_test_before_fit():
    with pytest.raises(
        ValueError, match="^test.data. tests the model that this trainer"
    ):
        Trainer().test(Data())


def test_labels_and_logits_whose_axes_differ():
    """(n, classes, h, w) and (n, h, w) have equal sizes where classes and w do."""
    for logits, labels in [((5, 13, 4, 13), (5, 4, 13)), ((6, 7, 10), (7, 6))]:
        with pytest.raises(ValueError, match="make the classes the last axis of the"):
            check_labels(logits, labels)
    for logits, labels in [((20, 10), (4, 5)), ((8, 10), (8, 1)), ((8, 1, 10), (8,))]:
        check_labels(logits, labels)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork")
def test_a_forked_process_waits_for_no_thread():
    """The thread that trains is not in it."""

    def train():
        with randomness.alone():
            begun.set()
            ended.wait(60)

    begun, ended = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(train)
        begun.wait(60)
        child = os.fork()
        if not child:
            signal.alarm(10)  # ends a child that waits
            with randomness.alone():
                os._exit(0)
        _, status = os.waitpid(child, 0)
        ended.set()
    assert status == 0
