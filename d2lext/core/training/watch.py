"""What goes on around the loop: curves, a checkpoint, Ctrl-C, a bar, advice."""

import contextlib
from typing import Any

from d2lext.core.training import advice, progress
from d2lext.core.training.drawing import Drawing
from d2lext.core.training.saving import Saving


class Watch(contextlib.ExitStack):
    """Surrounds the epochs of a trainer, which tells it of each batch and each epoch."""

    def __init__(self, trainer: Any):
        super().__init__()
        self.trainer = trainer
        self.drawing, self.saving = Drawing(trainer), Saving(trainer)
        self._bar: Any = None

    def __enter__(self) -> "Watch":
        super().__enter__()
        trainer = self.trainer
        if trainer.deterministic:
            self.enter_context(trainer.only_deterministic())
        self.enter_context(self.saving)  # which may resume in a later epoch
        per_epoch = trainer.expected_batches(True) + trainer.expected_batches(False)
        done = trainer.epoch * per_epoch + len(trainer.current.batches)
        self._bar = progress.bar(trainer.num_epochs * per_epoch, done)
        # A bar has a stream in it: with one, a model could not be copied afterwards.
        self.callback(vars(self).pop, "_bar")
        self.enter_context(self._bar)
        self.enter_context(advice.on_memory(trainer))
        return self

    def train_batch(self) -> None:
        """After each training batch."""
        self.drawing.train_batch()
        self._advance()

    def train_end(self) -> None:
        """After the last training batch of an epoch."""
        self.drawing.train_end()

    def val_batch(self) -> None:
        """After each batch of the validation."""
        self._advance()

    def val_end(self, values: dict[str, float]) -> None:
        """After the validation, which gave these `values`."""
        advice.check_losses(self.trainer, values)
        self.drawing.draw(self.trainer.epoch + 1, values)

    def epoch_end(self) -> None:
        """After an epoch: save the training, and stop if Ctrl-C has been pressed."""
        self.saving.epoch_end()

    def _advance(self) -> None:
        """Move the bar, and stop here if Ctrl-C has been pressed."""
        text = f"epoch {self.trainer.epoch + 1}/{self.trainer.num_epochs}"
        self._bar.set_description(text, refresh=False)
        self._bar.update()
        self.saving.batch_end()
