"""What a training is: its options, its code, its data and its initial weights.

A checkpoint records it, and only the same training resumes from that checkpoint.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from d2lext.core.training import checkpoint, own, report
from d2lext.core.training.contents import Contents
from d2lext.core.training.fingerprint import Fingerprints, text

Arrays = dict[str, np.ndarray]
Identity = dict[str, Any]  # of JSON's types
_VERSION = 2  # of what is recorded
_LONGEST = 100  # characters of an option in a message
_NO_EFFECT = ("memory_efficient", "num_workers")  # they change no result


def of(trainer: Any, arrays: Arrays, contents: Contents) -> Identity:
    """The identity of a training that begins with the state `arrays`, on such data."""
    ignored = [trainer, trainer.model]
    walk = Fingerprints(trainer.layers, ignored)
    # Of the arrays in an optimiser, the shapes: the weights are among them.
    ignored += [trainer.data, trainer.model.board, trainer.optim]
    fresh = Fingerprints(trainer.layers, ignored, arrays=False)
    layers = trainer.optimizer_options() | trainer.network_layers()
    options = _described(_options(trainer), walk) | _described(layers, fresh)
    parts = (trainer, trainer.model, trainer.optim, trainer.data)
    classes = {type(part) for part in parts}
    written = classes | contents.definitions | walk.definitions | fresh.definitions
    return {
        "version": _VERSION,
        "options": options,
        **of_contents(contents),
        # Only compared in the same version of Python, which compiles it.
        "code": [list(sys.version_info[:2]), _code(trainer, written)],
        # Only compared on the same device: another one may round differently.
        "first batch": [trainer.device_name(), _batch(trainer, trainer.sample)],
        "network": {n: str(a.shape) for n, a in _model(arrays).items()},
        "weights": of_weights(arrays),
    }


def of_contents(contents: Contents) -> Identity:
    """The part of an identity that is about what data hold."""
    return {"data": contents.fingerprints, "changing": contents.changing}


def of_weights(arrays: Arrays) -> str:
    """The fingerprint of the model's part of a trainer's state."""
    return Fingerprints()(_model(arrays))


def check(path: Path, saved: Any, arrays: Arrays, trainer: Any, now: Identity) -> None:
    """Raise ValueError unless the checkpoint of `saved` and `arrays` is of this training.

    `now` is the identity of the training that `trainer` begins.
    """
    files = " and ".join(str(file) for file in checkpoint.files(path))
    afresh = f"name another file, or delete {files} to begin afresh"
    if saved.get("version") != _VERSION:
        raise ValueError(
            f"the checkpoint {path} must say with what it began, got "
            f"one of an earlier version of d2lext: finish it with that version, {afresh}"
        )
    if got := next(_differences(saved, now, trainer), None):
        raise ValueError(
            f"the checkpoint {path} must be of the same training, got {got}: make both "
            f"equal, {afresh}"
        )
    if not _may_continue(trainer, saved, arrays, now):
        raise ValueError(
            f"the checkpoint {path} must be of the same training, got other initial "
            "weights than now: make both equal by a seed before the model is made, resume "
            f"whatever they are with Trainer(resume=True), {afresh}"
        )


def _differences(saved: Identity, now: Identity, trainer: Any) -> Iterator[str]:
    """What differs in all but the weights, in words."""
    for key in sorted({*saved["options"], *now["options"]}):
        before, value = (o["options"].get(key, ["absent", ""]) for o in (saved, now))
        if before[1] != value[1]:
            equal = before[0] == value[0]  # as far as they are shown
            which = "of other content" if equal else f"where it is {value[0]} now"
            yield f"{key} = {before[0]} {which}"
    others = []
    if parts := _unequal(saved["data"].items(), now["data"].items()):
        others.append(f"other data than now ({', '.join(parts)})")
    (version, before), (current, code) = saved["code"], now["code"]
    if version == current and (names := _unequal(map(tuple, before), map(tuple, code))):
        others.append(f"other code than now ({', '.join(names)})")
    if others:
        yield " and ".join(others)
    if _is_other_batch(saved, now, trainer):
        yield "other data than now (first batch)"
    if unequal := saved["network"].items() ^ now["network"].items():
        name, shape = min(unequal)
        yield f"an array {name} {shape} that only one of the two has"


def _unequal(before: Iterable[Any], now: Iterable[Any]) -> list[str]:
    """The names of the pairs that only one of the two has."""
    return sorted({name for name, _ in {*before} ^ {*now}})


def _is_other_batch(saved: Identity, now: Identity, trainer: Any) -> bool:
    (device, before), (here, batch) = saved["first batch"], now["first batch"]
    if device != here or before == batch:
        return False
    # A loader that draws its batches from random numbers of its own never repeats one.
    trainer.seed_framework()
    again = next(iter(trainer.data.train_dataloader()), None)
    return _batch(trainer, again) == batch


def _options(trainer: Any) -> dict[str, Any]:
    """The options that decide what is trained."""
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
    if trainer.schedule is not None:  # with more epochs it would be another one
        values |= {"schedule": trainer.schedule, "max_epochs": trainer.max_epochs}
    if trainer.ema is not None:
        values["ema"] = trainer.ema
    of_data = getattr(trainer.data, "hparams", {})
    for owner, options in (("model", trainer.network_options()), ("data", of_data)):
        values |= {f"{owner}.{k}": v for k, v in options.items() if k not in _NO_EFFECT}
    return values


def _described(values: dict[str, Any], walk: Fingerprints) -> dict[str, list[str]]:
    """The text and the fingerprint of each value."""
    return {key: [_short(value), walk(value)] for key, value in values.items()}


def _code(trainer: Any, definitions: Iterable[Any]) -> list[tuple[str, str]]:
    """(name, fingerprint) of the code of each class or function that a reader wrote."""
    walk = Fingerprints(trainer.layers)
    written = filter(own.is_written, definitions)
    return sorted({(d.__name__, walk(list(own.code(d)))) for d in written})


def _batch(trainer: Any, batch: Any) -> str:
    return Fingerprints(trainer.layers)(batch)


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
