"""What a training is: its options, its data and the weights with which it began.

A checkpoint records it, and only the same training resumes from that checkpoint.
"""

from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.training import checkpoint, report
from d2lext.core.training.fingerprint import Fingerprints, is_data, text

Arrays = dict[str, np.ndarray]
Identity = dict[str, Any]  # of JSON's types
_LONGEST = 100  # characters of an option in a message
_NO_EFFECT = ("memory_efficient", "num_workers")  # they change no result


def of(trainer: Any, arrays: Arrays, sources: list[Any]) -> Identity:
    """The identity of a training that begins with the state `arrays`.

    The sources of random numbers in its data are added to the list `sources`.
    """
    return {
        "options": _options(trainer) | _fresh(trainer),
        "data": _data(trainer, sources),
        # Only compared on the same device: another one may round differently.
        "first batch": [trainer.device_name(), _batch(trainer, trainer.sample)],
        "network": {n: str(a.shape) for n, a in _model(arrays).items()},
        "weights": of_weights(arrays),
    }


def of_weights(arrays: Arrays) -> str:
    """The fingerprint of the model's part of a trainer's state."""
    return Fingerprints(())(_model(arrays))


def check(path: Path, saved: Any, arrays: Arrays, trainer: Any, now: Identity) -> None:
    """Raise ValueError unless the checkpoint of `saved` and `arrays` is of this training.

    `now` is the identity of the training that `trainer` begins.
    """
    if "optimizer" not in saved.get("options", ()):
        raise ValueError(
            f"the checkpoint {path} must say with what it began, got "
            "one of an earlier version of d2lext: finish it with that version, "
            + _afresh(path)
        )
    for key in sorted({*saved["options"], *now["options"]}):
        before, value = (o["options"].get(key, ["absent", ""]) for o in (saved, now))
        if before[1] != value[1]:
            equal = before[0] == value[0]  # as far as they are shown
            which = "of other content" if equal else f"where it is {value[0]} now"
            raise _error(path, "training", f"{key} = {before[0]} {which}", "it")
    if parts := _differing(trainer, saved, now):
        got = f"other data than now ({', '.join(parts)})"
        raise _error(path, "training", got, "them")
    if unequal := saved["network"].items() ^ now["network"].items():
        name, shape = min(unequal)
        got = f"an array {name} {shape} that only one of the two has"
        raise _error(path, "network", got, "them")
    if not _may_continue(trainer, saved, arrays, now):
        got = "other initial weights than now"
        more = (
            " by a seed before the model is made, resume whatever they are with "
            "Trainer(resume=True)"
        )
        raise _error(path, "training", got, "them", more)


def _error(path: Path, whole: str, got: str, it: str, more: str = "") -> ValueError:
    return ValueError(
        f"the checkpoint {path} must be of the same {whole}, got {got}: make {it} "
        f"equal{more}, {_afresh(path)}"
    )


def _afresh(path: Path) -> str:
    """How to begin without the checkpoint `path`, of which there is a file."""
    files = " and ".join(str(file) for file in checkpoint.files(path))
    return f"name another file, or delete {files} to begin afresh"


def _options(trainer: Any) -> dict[str, list[str]]:
    """The text and the fingerprint of each option that decides what is trained."""
    values = {
        "framework": trainer.distributions[0],
        "network": type(trainer.model).__name__,
        **trainer.seeds(),
        "precision": trainer.used_precision,
        "gradient_clip_val": trainer.gradient_clip_val,
        "deterministic": trainer.deterministic,
        "batches": trainer.num_train_batches,
        "images": report.kind(trainer.data),
    }
    of_data = getattr(trainer.data, "hparams", {})
    for owner, options in (("model", trainer.network_options()), ("data", of_data)):
        values |= {f"{owner}.{k}": v for k, v in options.items() if k not in _NO_EFFECT}
    fingerprint = Fingerprints(trainer.layers, ignored=(trainer, trainer.model))
    return {key: [_short(value), fingerprint(value)] for key, value in values.items()}


def _fresh(trainer: Any) -> dict[str, list[str]]:
    """The same of the layers and of the optimiser, before any step.

    Of the arrays in an optimiser, the shapes: the weights are among them.
    """
    ignored = (trainer, trainer.data, trainer.model, trainer.model.board, trainer.optim)
    fingerprint = Fingerprints(trainer.layers, arrays=False, ignored=ignored)
    values = trainer.optimizer_options() | trainer.network_layers()
    return {key: [_short(value), fingerprint(value)] for key, value in values.items()}


def _data(trainer: Any, sources: list[Any]) -> dict[str, str]:
    """The fingerprints of what the data module and its loaders hold."""
    parts = {
        **getattr(trainer.data, "__dict__", {}),
        "train_dataloader": trainer.train_dataloader,
        "val_dataloader": trainer.val_dataloader,
    }
    # Loaders have methods of the data module, whose parts are told apart already.
    ignored = (trainer, trainer.model, trainer.data)
    fingerprint = Fingerprints(trainer.layers, plain=False, ignored=ignored)
    fingerprints = {
        name: fingerprint(value)
        for name, value in parts.items()
        if name != "hparams" and is_data(name, value)
    }
    sources += fingerprint.sources
    return fingerprints


def _batch(trainer: Any, batch: Any) -> str:
    return Fingerprints(trainer.layers)(batch)


def _differing(trainer: Any, saved: Identity, now: Identity) -> list[str]:
    """What differs in the data: names of attributes and loaders, or the first batch."""
    parts = saved["data"].items() ^ now["data"].items()
    if parts:
        return sorted({name for name, _ in parts})
    (device, before), (here, batch) = saved["first batch"], now["first batch"]
    if device != here or before == batch:
        return []
    # A loader that draws its batches from random numbers of its own never repeats one.
    trainer.seed_framework()
    again = next(iter(trainer.data.train_dataloader()), None)
    return ["first batch"] if _batch(trainer, again) == batch else []


def _may_continue(trainer: Any, saved: Identity, arrays: Arrays, now: Identity) -> bool:
    """Whether the model began, or is, where the checkpoint allows it to go on."""
    began, left = getattr(trainer.model, "_trained_from", (None, None))
    return (
        trainer.resume
        or not trainer.checkpoint  # a chapter's, whose code is the same
        or now["weights"] in (saved["weights"], of_weights(arrays))
        # The same model in the same process, trained beyond the checkpoint.
        or (saved["weights"], now["weights"]) == (began, left)
    )


def _model(arrays: Arrays) -> Arrays:
    return {name: a for name, a in arrays.items() if name.startswith("model/")}


def _short(value: Any) -> str:
    words = text(value)
    return words if len(words) <= _LONGEST else words[:_LONGEST] + "..."
