"""The training loop on one page, in the order and with the names of d2l.

What comes before it is in `preparation`, what a framework adds in `steps`, and what
happens around it (curves, checkpoint, Ctrl-C, bar, advice) in `watch`.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

from d2lext.core.training import advice, epochs, report
from d2lext.core.training.averages import Averages
from d2lext.core.training.epochs import Epoch
from d2lext.core.training.preparation import Preparation
from d2lext.core.training.watch import Watch
from d2lext.core.turns import turn


class Trainer(Preparation):
    """Fit a model to data for `max_epochs` passes over the training set.

    With `num_gpus` >= 1 it trains on one GPU if there is one. `seed` fixes the order of
    the examples, unless the data module has a `seed` of its own; dropout; the initial
    weights of a model that is not built yet; and all that `fit` draws from the random
    numbers of the framework, NumPy and Python. Afterwards these go on as if there had
    been no `fit`; in MXNet, which hides their state, from a seed drawn before it. These are
    common to a process: of two threads that fit, the second waits for the first; what other
    threads draw meanwhile, as for the weights of a model that they make, changes its
    numbers. To train at once, use processes. A thread that predicts with the model, or
    reads or sets its weights, waits for the current step.

    After `fit`, `history` holds a dict for each epoch: epoch, train_loss, val_loss,
    val_acc, train_seconds, val_seconds.

    `precision` is that of the training steps: "fp32", or "bf16" for products of
    bfloat16 numbers, with float32 parameters and statistics. `compile` says whether a
    step is compiled before it runs. "auto" and None choose what we measured to be fastest
    for the framework and the kind of machine; in PyTorch on a GPU, None may mean captured.
    Evaluation is in float32, which on GPUs is not TF32.

    `schedule` is a function of the share of the training that is over, 0 <= t < 1, which
    returns a factor for the learning rate of each step, whatever the optimizer: such as
    `StepSchedule()`, `CosineSchedule(warmup=0.05)`, `OneCycleSchedule()`, or one of yours.
    It counts `max_epochs`, also in a run that is shortened. Momentum adds up gradients, not
    steps, so that a new rate counts at once. With `ema`, such as 0.999, the trainer keeps a
    moving average of the weights, and of the statistics of normalization: each step keeps
    this share of it, the first one nothing. Validation and test are of the average, and
    after `fit` the model has it.

    `checkpoint` is a file to which the training is saved after each epoch and on
    Ctrl-C; if it already exists, `fit` resumes from it. It holds all that trains: what the
    framework counts as parameters and buffers, other arrays and numbers of the model, the
    optimiser; and the state of random numbers: the framework's, Python's, NumPy's, and
    those of generators that the model, the optimiser, the data or a loader hold. After
    Ctrl-C within an epoch, a loader that shuffles by common random numbers gives different
    batches. With `deterministic`, equal runs give equal bits on the same machine with the
    same number of threads.

    Only the same training resumes; otherwise a ValueError says what differs: an option, a
    layer, the optimiser as it begins, the data, code that you wrote, or the initial
    weights. Of the data we compare what the data module, its loaders and your own objects
    in them hold, without what reading them changes, such as a cache or a counter; and the
    first training batch, unless the loader makes another one each time. What it makes
    after that is not compared. Of your classes we compare the methods and the numbers and
    words that they have as attributes, in the same version of Python; not comments and
    docstrings, and not the functions that they call. A model that this training left in
    this process may go on. With `resume`, so may one that begins with other weights, such
    as random ones of another process: the checkpoint's replace them.
    """

    def fit(self, model: Any, data: Any) -> None:
        """Train `model` on `data`; print the result and what produced it.

        Raises FloatingPointError, with the reason, if a loss, a weight or a statistic is
        no longer finite, and before such weights are saved; ValueError if batch
        normalization has a single value per channel in a batch of one example, a batch
        has no example, or the loss of one is not one number or depends on no parameter
        that trains; TypeError if a batch is not a sequence of arrays, inputs and then
        labels, or `configure_optimizers` returns something else than an optimizer.
        """
        self.take_options()
        report.beginning(self)
        with self.seeded():
            self.prepare_data(data)
            self.prepare_model(model)
            self.prepare_optimizer()
            self.average.begin()
            self.history, self.num_train_examples = [], 0
            self.train_batch_idx = self.val_batch_idx = 0
            self.begin_epoch(0)
            with Watch(self) as self.watch:  # may resume from a later epoch
                for epoch in range(self.epoch, self.num_epochs):
                    self.fit_epoch()
                    self.begin_epoch(epoch + 1)
                    self.watch.epoch_end()
                self.finish()
                self.average.exchange()
        report.end(self)

    def begin_epoch(self, epoch: int) -> None:
        """Count what follows as part of `epoch`, from 0."""
        self.epoch, self.current = epoch, Epoch(first_val_batch=self.val_batch_idx)

    def fit_epoch(self) -> None:
        """One pass over the training set, then one over the validation set."""
        current = self.current  # with its earlier batches, if resumed
        current.start_clock()
        for batch in self.train_batches(skip=len(current.batches)):
            with turn(self.model):
                logged = self.train_step(self.prepare_batch(batch))
            current.batches.add(logged, len(batch[-1]))
            self.train_batch_idx += 1
            self.watch.train_batch()
        self.watch.train_end()
        entry = {"epoch": self.epoch + 1, **current.batches.means()}
        entry["train_seconds"] = current.stop_clock()
        self.num_train_examples = current.batches.num_examples
        if self.val_dataloader is not None:
            start = time.perf_counter()
            with self.average.in_model():
                batches = self.val_batches()
                values = self.evaluate(batches, self.watch.val_batch).means()
            self.watch.val_end(values)
            entry |= {**values, "val_seconds": time.perf_counter() - start}
        self.history.append(entry)

    def evaluate(
        self,
        batches: Iterable,
        after_batch: Callable[[], None] = lambda: None,
        part: str = "validation",
    ) -> Averages:
        """What the model logs on each of the batches, in evaluation mode.

        Raises ValueError, which names the `part` of the data, if one has no example.
        """
        averages = Averages()
        for batch in epochs.not_empty(batches, part):
            with turn(self.model):
                logged = self.eval_step(self.prepare_batch(batch))
            averages.add(logged, len(batch[-1]))
            self.val_batch_idx += 1
            after_batch()
        return averages

    def test(self, data: Any, model: Any = None) -> None:
        """Print the loss and accuracy on the test set: once, after every decision.

        They are kept in `test_metrics`. The model is the one that was fitted, or `model`,
        such as one with weights by `load_weights`. Raises FloatingPointError, with the
        reason, if the loss is not finite, and ValueError if there is no example.
        """
        if model is not None:
            self.prepare_test(data, model)
        elif not hasattr(self, "model"):
            raise ValueError(
                "test(data) tests the model that this trainer has fitted, got none yet: "
                "pass one, as in test(data, model)"
            )

        def batches():
            return epochs.batches(epochs.ending(data.test_dataloader()), train=False)

        averages = self.evaluate(batches(), part="test")
        advice.check_any(len(averages) > 0, data, "test")
        self.test_metrics = {
            key.replace("val_", "test_"): value
            for key, value in averages.means().items()
        }
        advice.check_losses(self, self.test_metrics, batches)
        examples = f"{averages.num_examples:,} {report.kind(data)}"
        print(f"{report.numbers(self.test_metrics)} on {examples}")
