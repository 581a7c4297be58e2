"""What happens around the loop: curves, a checkpoint, Ctrl-C, a bar, advice."""

import contextlib
from typing import Any

from d2lext.core.training import advice, progress
from d2lext.core.training.drawing import Drawing
from d2lext.core.training.saving import Saving


class Watch(contextlib.ExitStack):
    """Surrounds a trainer's epochs; the trainer reports each batch and epoch to it."""

    def __init__(self, trainer: Any):
        super().__init__()
        self.trainer = trainer
        self.drawing, self.saving = Drawing(trainer), Saving(trainer)
        self._bar: Any = None

    def __enter__(self) -> "Watch":
        super().__enter__()
        trainer = self.trainer
        advice.check_start(trainer)
        trainer.single.check_loader()
        if trainer.deterministic:
            self.enter_context(trainer.only_deterministic())
        self.enter_context(self.saving)  # may resume from a later epoch
        per_epoch = trainer.expected_batches(True) + trainer.expected_batches(False)
        done = trainer.epoch * per_epoch + len(trainer.current.batches)
        self._bar = progress.bar(trainer.num_epochs * per_epoch, done)
        # A bar holds a stream: keeping one would prevent copying the model afterwards.
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
        advice.check_weights(self.trainer)

    def val_batch(self) -> None:
        """After each validation batch."""
        self._advance()

    def val_end(self, values: dict[str, float]) -> None:
        """After the validation, which gave these `values`."""
        advice.check_losses(self.trainer, values, self.trainer.val_batches)
        self.drawing.draw(self.trainer.epoch + 1, values)

    def epoch_end(self) -> None:
        """After an epoch: save the training, and stop if Ctrl-C was pressed."""
        self.saving.epoch_end()

    def _advance(self) -> None:
        """Advance the bar, and stop here if Ctrl-C was pressed."""
        text = f"epoch {self.trainer.epoch + 1}/{self.trainer.num_epochs}"
        self._bar.set_description(text, refresh=False)
        self._bar.update()
        self.saving.batch_end()
