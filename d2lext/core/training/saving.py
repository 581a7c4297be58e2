"""Saves training after each epoch and on Ctrl-C, and resumes from there."""

import contextlib
from pathlib import Path
from typing import Any

from d2lext.core.training import advice, checkpoint, held, identity, randomness
from d2lext.core.training.contents import Contents
from d2lext.core.training.epochs import Epoch
from d2lext.core.training.interrupt import Interrupt

# Numbers of a trainer's that the record has under names of their own.
_RECORDED = (
    "epoch",
    "train_batch_idx",
    "val_batch_idx",
    "num_train_examples",
    "history",
)


class Saving:
    """The checkpoint of a trainer; within `with saving:`, Ctrl-C waits for it.

    Without a path nothing is saved, and Ctrl-C works as usual.
    """

    def __init__(self, trainer: Any):
        self.trainer = trainer
        path = trainer.checkpoint or checkpoint.of_next_fit()
        self.path: Any = Path(path).expanduser() if path else None
        self.interrupt = Interrupt()
        self._others: list[Any] = []  # sources of random numbers outside of the data
        # States of those in the data as the epoch began, by id.
        self._drawn: dict[int, randomness.State] = {}
        self._is_settled = False

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
            self._mark()

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
            self._look_at_data()
        self.save()
        if self.interrupt.asked:
            raise KeyboardInterrupt(f"the training is saved in {self.path}")

    def save(self) -> None:
        """Write the checkpoint, if one was requested, as of the last finished step."""
        if not self.path:
            return
        trainer, current = self.trainer, self.trainer.current
        record = {
            "training": self.identity,
            "epoch": trainer.epoch,
            "batches": current.batches.floats(),
            "drawn": current.drawn,
            "seconds": current.seconds,
            # An interrupted validation is repeated.
            "batch_indices": [trainer.train_batch_idx, current.first_val_batch],
            "num_train_examples": trainer.num_train_examples,
            "history": trainer.history,
            "board": trainer.model.board.data,
            "numbers": [
                (place, value)
                for place, value in self._numbers.changed()
                if place[0] != "trainer" or place[1] not in _RECORDED
            ],
            # Those of the data as the epoch began: its batches are read once more.
            "random": [
                [self._drawn.get(id(s)) for s in self._contents.sources],
                randomness.states(self._others),
            ],
        }
        with trainer.average.outside():
            checkpoint.save(self.path, record, trainer.get_state())

    def resume(self) -> None:
        """Resume from the checkpoint if there is one.

        Raises ValueError if it is damaged, or from a different training.
        """
        trainer = self.trainer
        found = checkpoint.load(self.path)
        record, arrays = found or ({}, {})
        saved = record.get("training", {})
        self._contents = Contents(trainer, saved.get("changing", ()))
        self.identity = identity.of(trainer, trainer.get_state(), self._contents)
        self._begin()
        if not record.get("epoch") and not record.get("batches"):  # before any step
            self.save()  # if that fails, we should know now, not after an epoch
            return
        identity.check(self.path, saved, arrays, trainer, self.identity)
        self.identity = saved
        trainer.set_state(arrays)
        self._restore(record)
        trainer.epoch = record["epoch"]
        trainer.skip_epochs(trainer.epoch)
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

    def _look_at_data(self) -> None:
        """Note what reading has changed, and what is drawn from here in the next epoch."""
        if not self._is_settled and self._contents.settle():
            self.identity |= identity.of_contents(self._contents)
        if not self.trainer.current.batches:  # the epoch is over
            self._is_settled = True
            self._note_drawn(randomness.states(self._contents.sources))

    def _note_drawn(self, states: list[randomness.State]) -> None:
        self._drawn = dict(zip(map(id, self._contents.sources), states, strict=False))

    def _owners(self) -> list[tuple[str, Any]]:
        """Named objects whose numbers training may change: a reader's own trainer, too."""
        return [("trainer", self.trainer), *self.trainer.owners()]

    def _begin(self) -> None:
        """Note the numbers, and the sources of random numbers, with which it begins."""
        self._numbers = held.Numbers(self._owners)
        known = {id(source) for source in self._contents.sources}
        self._others = randomness.everyones()
        self._others += [s for s in held.sources(self._owners()) if id(s) not in known]
        self._note_drawn(randomness.states(self._contents.sources))

    def _restore(self, record: dict[str, Any]) -> None:
        """Restore numbers, and what is drawn from now on."""
        self._numbers.restore(record["numbers"])
        drawn, others = record["random"]
        self._note_drawn(drawn)
        randomness.set_states(self._contents.sources, drawn)
        randomness.set_states(self._others, others)

    def _mark(self) -> None:
        """Note in the model where it began and where it is left.

        Fitted once more, it may go on: by then its weights are not those it began with.
        """
        # After an error there may be no state.
        with contextlib.suppress(Exception):
            left = identity.of_weights(self.trainer.get_state())
            self.trainer.model._trained_from = self.identity["weights"], left
