"""Saves training after each epoch and on Ctrl-C, and resumes from there."""

import re
from typing import Any

import numpy as np

from d2lext.core.training import advice, checkpoint, report
from d2lext.core.training.epochs import Epoch
from d2lext.core.training.interrupt import Interrupt


class Saving:
    """The checkpoint of a trainer; within `with saving:`, Ctrl-C waits for it.

    Without a path nothing is saved, and Ctrl-C works as usual.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.path: Any = trainer.checkpoint or checkpoint.of_next_fit()
        self.interrupt = Interrupt()

    def __enter__(self) -> "Saving":
        if self.path:
            self.interrupt.__enter__()
            try:
                self.resume()
            except BaseException:
                self.interrupt.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.path:
            self.interrupt.__exit__()

    def batch_end(self) -> None:
        """If Ctrl-C was pressed, save the training mid-epoch and stop."""
        if self.interrupt.asked:
            advice.check_batches(self.trainer)
            self.trainer.current.stop_clock()
            self.epoch_end()

    def epoch_end(self) -> None:
        """Save the training; stop if Ctrl-C was pressed."""
        if self.path:
            advice.check_weights(self.trainer)
        self.save()
        if self.interrupt.asked:
            raise KeyboardInterrupt(f"the training is saved in {self.path}")

    def save(self) -> None:
        """Write the checkpoint, if one was requested, as of the last finished step."""
        if not self.path:
            return
        trainer, current = self.trainer, self.trainer.current
        record = {
            "training": identity(trainer),
            "epoch": trainer.epoch,
            "batches": current.batches.floats(),
            "drawn": current.drawn,
            "seconds": current.seconds,
            # An interrupted validation is repeated.
            "batch_indices": [trainer.train_batch_idx, current.first_val_batch],
            "num_train_examples": trainer.num_train_examples,
            "history": trainer.history,
            "board": trainer.model.board.data,
        }
        checkpoint.save(self.path, record, trainer.get_state())

    def resume(self) -> None:
        """Resume from the checkpoint if there is one.

        Raises ValueError if it is damaged, or from a different training.
        """
        found = checkpoint.load(self.path)
        record: dict[str, Any] = found[0] if found else {}
        arrays: dict[str, np.ndarray] = found[1] if found else {}
        if not record.get("epoch") and not record.get("batches"):  # before any step
            self.save()  # if that fails, we should know now, not after an epoch
            return
        self._check(record, arrays)
        trainer = self.trainer
        trainer.set_state(arrays)
        trainer.epoch = record["epoch"]
        trainer.train_batch_idx, trainer.val_batch_idx = record["batch_indices"]
        trainer.current = current = Epoch(
            record["batches"], record["drawn"], record["seconds"], trainer.val_batch_idx
        )
        trainer.num_train_examples = record["num_train_examples"]
        trainer.history = record["history"]
        steps = f" and {len(current.batches)} steps" if current.batches else ""
        print(f"Resumed from a checkpoint, after epoch {trainer.epoch}{steps}.")
        trainer.model.board.xlabel = "epoch"
        trainer.model.board.restore(record["board"])

    def _check(self, record: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Raise ValueError unless the checkpoint is from this training."""
        for key, value in identity(self.trainer).items():
            if record["training"].get(key) != value:
                raise ValueError(
                    f"the checkpoint {self.path} must be of the same training, got "
                    f"{key} = {record['training'].get(key)} where it is {value} now: "
                    "make it equal, name another file, or delete this one"
                )
        now = _model_shapes(self.trainer.get_state())
        if differing := now.items() ^ _model_shapes(arrays).items():
            name, shape = min(differing)
            raise ValueError(
                f"the checkpoint {self.path} must be of the same network, got an array "
                f"{name} {shape} that only one of the two has: name another file, or "
                "delete this one"
            )


def identity(trainer: Any) -> dict[str, str]:
    """What must be equal to resume from a checkpoint, as text."""
    values = {
        **trainer.network_options(),
        "framework": trainer.distributions[0],
        "network": type(trainer.model).__name__,
        "seed": trainer.seed,
        "precision": trainer.used_precision,
        "gradient_clip_val": trainer.gradient_clip_val,
        "deterministic": trainer.deterministic,
        "batches": trainer.num_train_batches,
        "data": getattr(trainer.data, "hparams", {}),
        "images": report.kind(trainer.data),
    }
    # An object's address in memory says nothing about it.
    return {
        key: re.sub(" at 0x[0-9a-f]+", "", repr(value), flags=re.IGNORECASE)
        for key, value in values.items()
        if key != "memory_efficient"  # which changes no result
    }


def _model_shapes(arrays: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {n: a.shape for n, a in arrays.items() if n.startswith("model/")}
