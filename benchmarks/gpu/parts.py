"""What each part finds out in its process: one function for each, `tell` writes facts.

`quick` makes everything tiny. Without a GPU the CPU stands in for it.
"""

import hashlib
import importlib
import os
import sys
import time
from contextlib import nullcontext

from benchmarks.gpu.stock import stock

EPOCHS, TARGET = 10, 10
KILLED = 9  # the exit status of a process that ends itself as if it were killed
CHAPTER = {"batch_size": 128, "resize": (96, 96)}
TINY = {"batch_size": 16, "resize": (32, 32)}


def step(tell, backend, quick, precision="auto"):
    """Import the framework, look for the card, and make a few steps."""
    start = time.perf_counter()
    d2l = importlib.import_module(f"d2lext.{backend}")
    tell(import_s=time.perf_counter() - start)
    num_gpus = d2l.num_gpus()
    tell(num_gpus=num_gpus, why="" if num_gpus else d2l.device.why_no_gpu())
    if not (num_gpus or quick):
        return
    from benchmarks import ours
    from benchmarks.worker import Training

    data = TINY if quick else CHAPTER
    side = ours.start(backend, 4 * data["batch_size"], precision, **data)
    training = Training(ours, side)
    tell(**training.prepare())
    # Long enough for what is compiled or captured after a few steps.
    training.step(turn_s=0 if quick else 1)
    tell(**training.step(turn_s=0 if quick else 1))


def parity(tell, backend, quick):
    """What the card computes in fp32, beside the CPU with the same weights."""
    import numpy as np

    from d2lext.core.densenet import parity

    d2l = importlib.import_module(f"d2lext.{backend}")
    rng = np.random.default_rng(0)
    n, side = (2, 32) if quick else (32, 96)
    X = rng.random((n, 1, side, side), np.float32)
    y = rng.integers(0, 10, n)
    network = {"arch": (1, 1), "num_channels": 8, "growth_rate": 4} if quick else {}
    found = []
    for device in (d2l.try_gpu(), d2l.cpu()):
        with _place(backend, device):
            model = d2l.create_model("densenet_d2l", **network)
            if backend == "torch":
                model.to(device)
            found.append((d2l.predict(model, X), d2l.examine(model, X, y)))
    (logits, on_card), (expected, on_cpu) = found
    tell(
        differences={
            "logits, evaluation": parity.difference(logits, expected),
            **parity.compare(on_card, on_cpu),
        },
        tolerances=parity.TOLERANCES,
    )
    (losses, weights), (expected, on_cpu) = (_ten_steps(backend, n) for n in (1, 0))
    tell(
        steps={
            "losses of 10 steps": parity.difference(losses, expected),
            "weights after 10 steps": parity.difference(weights, on_cpu),
        }
    )


def ours(tell, backend, quick):
    """Train as the first chapter does, ten epochs with validation."""
    d2l = importlib.import_module(f"d2lext.{backend}")

    class Trainer(d2l.Trainer):
        def fit_epoch(self):
            super().fit_epoch()
            steps = self.num_train_batches
            tell(epochs=self.history, steps=steps, **_used(self))

    options, epochs = _data(quick)
    trainer = Trainer(max_epochs=epochs, num_gpus=1)
    data = d2l.FashionMNIST(**options)
    tell(images=data.source.origin)
    start = time.perf_counter()
    trainer.fit(d2l.DenseNet(lr=0.01), data)
    tell(fit_s=time.perf_counter() - start)


def memory(tell, backend, quick, mode):
    """The memory of a training step, with or without `memory_efficient`."""
    from benchmarks import memory_worker

    depth, batch = (40, 4) if quick else (100, 128)
    steps = 1 if quick else 5
    found = memory_worker.measure(backend, depth, mode, batch, steps, num_gpus=1)
    tell(depth=depth, batch=batch, **found)


def resume(tell, backend, quick, checkpoint, is_killed):
    """Train two epochs; `is_killed` ends the process after the first, with no farewell.

    Otherwise the training resumes from the checkpoint, and is then done once more without
    one: its weights must have the same bits.
    """
    d2l = importlib.import_module(f"d2lext.{backend}")
    trained = []  # epochs

    class Trainer(d2l.Trainer):
        def fit_epoch(self):
            if is_killed and self.epoch == 1:
                os._exit(KILLED)
            super().fit_epoch()
            trained.append(self.epoch)

    def train(checkpoint):
        data = d2l.FashionMNIST(
            **(TINY if quick else CHAPTER),
            num_train=32 if quick else 1280,
            num_val=16 if quick else 128,
        )
        trainer = Trainer(2, num_gpus=1, deterministic=True, checkpoint=checkpoint)
        model = d2l.DenseNet(arch=(1, 1) if quick else (2, 2), lr=0.05)
        trainer.fit(model, data)
        return trainer, _digest(d2l.get_weights(model))

    trainer, resumed = train(checkpoint)
    tell(resumed=resumed, began_with=trained[0], **_used(trainer))
    tell(uninterrupted=train(None)[1])


def _ten_steps(backend, num_gpus):
    """The losses of ten steps in fp32 from the same weights, and the weights after them."""
    from benchmarks.memory_worker import Batches
    from benchmarks.ours import losses as losses_of

    d2l = importlib.import_module(f"d2lext.{backend}")
    small = {"arch": (2, 2), "num_channels": 8, "growth_rate": 4}
    model = d2l.create_model("densenet_d2l", lr=0.05, **small)
    trainer = d2l.Trainer(max_epochs=1, num_gpus=num_gpus, precision="fp32")
    losses = losses_of(trainer)
    trainer.fit(model, Batches(backend, 8, (1, 32, 32), steps=10))
    return losses, d2l.get_weights(model)


def _place(backend, device):
    """A context in which models are made on a device."""
    if backend == "torch":
        return nullcontext()
    if backend == "jax":
        return sys.modules["jax"].default_device(device)
    return device


def _data(quick):
    """The data of a training, and how many epochs it has."""
    return (TINY | {"num_train": 64, "num_val": 16}, 2) if quick else (CHAPTER, EPOCHS)


def _used(trainer):
    return {
        "device": trainer.device_name(),
        "precision": trainer.used_precision,
        "compiled": trainer.compiled,
    }


def _digest(weights):
    digest = hashlib.sha256()
    for name, array in weights.items():
        digest.update(name.encode() + array.tobytes())
    return digest.hexdigest()


PARTS = {
    "step": step,
    "parity": parity,
    "ours": ours,
    "stock": stock,
    "memory": memory,
    "resume": resume,
}
