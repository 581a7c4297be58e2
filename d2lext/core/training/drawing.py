"""Training curves, drawn on the model's board while training runs."""

import math
from typing import Any

from d2lext.core.training import advice


class Drawing:
    """Draws a trainer's losses: several points per epoch, each the mean of its batches."""

    def __init__(self, trainer: Any):
        self.trainer = trainer
        trainer.model.board.reset()
        trainer.model.board.xlim = [0, trainer.num_epochs]
        expected = self._expected = trainer.expected_batches(train=True)  # 0: unknown
        self._per_point = math.ceil(expected / trainer.model.plot_train_per_epoch)

    def train_batch(self) -> None:
        """After a training batch: draw, once there are enough for a point."""
        # Reading a value waits for the GPU and leaves it idle: once an epoch is enough.
        if self.trainer.gpus or not self._expected:
            return
        if len(self.trainer.current.batches) % self._per_point == 0:
            self.train_end()

    def train_end(self) -> None:
        """Draw the training batches that have not been drawn yet."""
        current, epoch = self.trainer.current, self.trainer.epoch
        advice.check_batches(self.trainer)
        end = len(current.batches)
        while current.drawn < end:
            first = current.drawn
            last = current.drawn = min(end, first + (self._per_point or end))
            whole = self._per_point and last - first == self._per_point
            x = min(1, last / self._expected) if whole else 1
            self.draw(epoch + x, current.batches.means(first, last))

    def draw(self, x: float, values: dict[str, float]) -> None:
        """Draw each of the `values` at `x`, in epochs."""
        board = self.trainer.model.board
        board.xlabel = "epoch"
        for key, value in values.items():
            board.draw(x, value, key)
