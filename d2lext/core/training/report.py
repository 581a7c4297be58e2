"""What a trainer prints: whether a run is shortened, its results, what produced them."""

import operator
from typing import Any

from d2lext.core.training import provenance
from d2lext.core.training.epochs import FAST_TRAIN_BATCHES


def beginning(trainer: Any) -> None:
    """Say what makes this training shorter or slower than a reader may expect."""
    shortened(trainer.max_epochs, trainer.num_epochs, FAST_TRAIN_BATCHES)
    if trainer.num_gpus and not trainer.gpus:
        why = trainer.devices.why_no_gpu()
        reason = f" {why}." if why else ""
        print(f"No GPU found: training on the CPU, which takes longer.{reason}")
    if trainer.num_gpus > 1 and trainer.gpus:
        print(f"num_gpus={trainer.num_gpus}: a training uses one GPU.")


def end(trainer: Any) -> None:
    """Print the result of the training, and what produced it."""
    if trainer.history:  # a notebook's own fit_epoch may keep none
        results(trainer.history, trainer.num_train_examples, trainer.data)
    auto = " (auto)" if trainer.precision == "auto" else ""
    print(
        f"{trainer.device_name()}; {trainer.used_precision}{auto}, "
        f"{trainer.how_compiled()}; seed {trainer.seed}"
    )
    print(provenance.versions(*trainer.distributions))


def shortened(max_epochs: int, num_epochs: int, num_batches: int) -> None:
    """Say so if a run is shorter than its `max_epochs`."""
    if provenance.fast_mode():
        print(
            f"D2LEXT_FAST is set: {num_batches} batches instead of {max_epochs} epochs. "
            "The numbers below mean nothing."
        )
    elif num_epochs < max_epochs:
        print(
            f"D2LEXT_EPOCHS={num_epochs}: training {num_epochs} of {max_epochs} epochs."
        )


def results(history: list[dict[str, Any]], num_examples: int, data: Any) -> None:
    """Print the last epoch of a trainer's history, and the best one."""
    last, epochs = history[-1], len(history)
    seconds = sum(e["train_seconds"] + e.get("val_seconds", 0) for e in history)
    print(
        f"after {epochs} epoch{'s' if epochs > 1 else ''} of {num_examples:,} "
        f"{kind(data)}, {seconds:.0f} s:"
    )
    print(numbers(last))
    if epochs > 1 and "val_acc" in last:
        best = max(history, key=operator.itemgetter("val_acc"))
        print(
            f"best validation accuracy {best['val_acc']:.3f}, after epoch "
            f"{best['epoch']}"
        )


def numbers(values: dict[str, float]) -> str:
    """The losses and accuracies among `values`, in words."""
    return ", ".join(
        f"{name(key)} {value:.3f}"
        for key, value in values.items()
        if "_" in key and not key.endswith("_seconds")
    )


def name(key: str) -> str:
    """A key such as train_loss in words."""
    names = {"train": "training", "val": "validation", "acc": "accuracy"}
    return " ".join(names.get(word, word) for word in key.split("_"))


def kind(data: Any) -> str:
    """What the examples of `data` are called; synthetic ones are called synthetic."""
    origin = getattr(getattr(data, "source", None), "origin", None)
    names = {None: "examples", "real": "images"}
    return names.get(origin, f"{origin} images")
