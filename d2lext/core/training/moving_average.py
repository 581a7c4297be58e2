"""A moving average of what trains, with which a trainer evaluates its model."""

import contextlib
from collections.abc import Iterator
from typing import Any

from d2lext.core.turns import turn


class MovingAverage:
    """Says what a step keeps of it, and puts it into the model and back.

    `pairs` are an array of the model and its average, by name: of parameters, and of the
    statistics of normalization. In JAX both are in the state of training. With `ema=None`
    there are none, and nothing happens.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        self.pairs: dict[str, tuple[Any, Any]] = {}
        self.is_in_model = False

    @property
    def keep(self) -> float | None:
        """The share of the average that the next step keeps: nothing of it at first."""
        trainer = self.trainer
        return trainer.ema if trainer.ema is None or trainer.train_batch_idx else 0.0

    def begin(self) -> None:
        """Begin with zeros, of which the first step keeps nothing."""
        if self.trainer.ema is not None:
            self.pairs = self.trainer.begin_average()

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Within, the model has the average."""
        self.exchange()
        try:
            yield
        finally:
            self.exchange()

    @contextlib.contextmanager
    def outside(self) -> Iterator[None]:
        """Within, the model has what trains, also in the middle of an evaluation."""
        with self.in_model() if self.is_in_model else contextlib.nullcontext():
            yield

    def exchange(self) -> None:
        """Exchange what the model has and the average; the last epoch leaves it there."""
        if self.trainer.ema is not None:
            with turn(self.trainer.model):
                self.trainer.exchange_average()
            self.is_in_model = not self.is_in_model
