"""The training loop's steps in MXNet."""

import contextlib
import functools
import os

import numpy
from mxnet import autograd, gluon, np, npx
from mxnet.base import MXNetError
from mxnet.gluon.utils import shape_is_known

from d2lext.core.checks import check_mean
from d2lext.core.densenet import initializers
from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.machine import processor
from d2lext.core.machine.allocator import keep_pages
from d2lext.core.training import rate
from d2lext.core.training.held import held
from d2lext.core.training.traced import Traced
from d2lext.mxnet import device, optimizers
from d2lext.mxnet.batchnorm import values_per_channel
from d2lext.mxnet.module import SGD, numbered
from d2lext.mxnet.speed import graphs
from d2lext.mxnet.state import State


class Trainer(State):
    """Fit a model on one GPU or on the CPU.

    A step begins with gradients of 0, also where `grad_req` is "add", if the optimiser is a
    `gluon.Trainer` or what `configure_optimizers` makes for bare arrays.
    An optimiser of another class may add up those of several steps, and clears them itself.
    """

    distributions = FRAMEWORKS["mxnet"].modules
    devices = device
    layers = (gluon.Block,)
    optimizer_methods = {"step": 1}

    def fastest(self):
        """bf16 if the CPU multiplies it, compiled; ValueError if bf16 is impossible.

        Only the graph of a compiled network can compute in bfloat16.
        """
        can = (
            not self.gpus and self.compile in (None, True) and processor.has_bfloat16()
        )
        if self.precision == "bf16" and not can:
            raise ValueError(
                "precision 'bf16' needs a CPU that multiplies bfloat16 (AVX-512 BF16 or "
                "AMX) and compilation in MXNet, got compile="
                f"{self.compile} on {self.device_name()}: take precision='auto'"
            )
        return "bf16" if can else "fp32", True

    @contextlib.contextmanager
    def framework_kept(self):
        """A context after which MXNet's random numbers go on from a seed drawn before.

        MXNet does not expose their state.
        """
        drawn = int(np.random.randint(0, 2**31 - 1))
        try:
            yield
        finally:
            npx.random.seed(drawn)

    def seed_framework(self):
        """Seed MXNet's random numbers on all devices, Python's and NumPy's."""
        super().seed_framework()
        npx.random.seed(self.seed)

    @contextlib.contextmanager
    def only_deterministic(self):
        """Let MXNet choose deterministic algorithms for GPUs, without timing them.

        It keeps those that it has chosen for the same shapes before, in this process.
        """
        chosen = {"MXNET_ENFORCE_DETERMINISM": "1", "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0"}
        before = {name: os.environ.get(name) for name in chosen}
        os.environ.update(chosen)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    def prepare_model(self, model):
        """Move the model to the device, and compile its network."""
        super().prepare_model(model)
        if self.gpus:
            model.collect_params().reset_ctx(self.gpus[0])
            model.set_scratch_params_device(self.gpus[0])
        else:
            keep_pages()
        self._unfinished = {}
        if not all(shape_is_known(p.shape) for p in model.collect_params().values()):
            first = [a[:1] for a in self.prepare_batch(self.sample)]
            with initializers.seeded(self.seed):
                model(*first[:-1])
        # Python in them runs only as they are compiled.
        blocks = [b for b in numbered(model) if isinstance(b[1], gluon.HybridBlock)]
        self._traced = Traced(self, blocks)
        self._hybridize()

    def _hybridize(self):
        # Blocks that cannot be compiled run as they are; without `compiled`, all do. No
        # static_shape: it is no faster here, and a step that is still running would
        # switch between training and evaluation mode together with the next one.
        self.model.hybridize(self.compiled, static_alloc=True)
        graphs.compile_faster(self.model, in_bf16=self.used_precision == "bf16")

    def _hybridize_if_changed(self):
        if self._traced.changed():
            self._hybridize()

    def prepare_optimizer(self):
        """Make the optimiser; note the gradients that it does not clear itself."""
        super().prepare_optimizer()
        self._rates = self._find_rates() if self.schedule is not None else []
        self._added = []
        if type(self.optim) is gluon.Trainer:
            params = self.optim._params
            self._added = [param.grad for param in params if param.grad_req == "add"]
        elif type(self.optim) is SGD:  # arrays do not tell how they take gradients
            arrays = [array for array in self.optim.params if array.grad is not None]
            self._added = [
                functools.partial(getattr, array, "grad") for array in arrays
            ]

    def _find_rates(self):
        """The places of the learning rates: an optimiser's number, or its schedule."""
        trainers = optimizers.trainers(self.model, self.optim).values()
        found = [trainer.optimizer for trainer in trainers]
        places = [
            (o, "lr" if o.lr_scheduler is None else "lr_scheduler") for o in found
        ]
        return places or rate.place_in(self.optim)

    def prepare_batch(self, batch):
        """The batch on the device."""
        return [a.as_in_ctx(self.device) for a in batch]

    def train_step(self, batch):
        """Forward, backward, one step of the optimiser."""
        if self.deterministic:
            # MXNet does not expose the state of its random numbers, so a checkpoint
            # cannot hold it: we seed each step separately.
            npx.random.seed(self.seed + self.train_batch_idx + 1)
        for gradient in self._added:
            gradient()[:] = 0
        self._hybridize_if_changed()
        with autograd.record():
            loss = self.model.training_step(batch)
        check_mean(loss=loss)
        try:
            loss.backward()
        except MXNetError as error:
            if "not in a computational graph" not in str(error):
                raise
            how = 'collect_params().setattr("grad_req", "write")'
            raise self.nothing_trains(f"call {how} on what is to train") from error
        if self.gradient_clip_val > 0:
            self.clip_gradients(self.gradient_clip_val, self.model)
        with rate.scaled(self._rates, rate.factor(self)):
            self.optim.step(1)  # the loss is already a mean
        if self.average.keep is not None:
            self.update_average(self.average.keep)
        return self.take_logged()

    def eval_step(self, batch):
        """Validate: outside of `record`, layers are in evaluation mode."""
        self._hybridize_if_changed()
        self.model.validation_step(batch)
        return _checked(self.take_logged(), batch[:-1])

    def try_out(self, function):
        """Call a function of the step only for its exception; nothing of it stays."""
        with autograd.pause():
            function()

    def numpy(self, tensor):
        """A tensor of a batch as a NumPy array."""
        return tensor.asnumpy()

    def output_shape(self, batch):
        """The shape of the model's output for a batch on the device."""
        return self.model(*batch[:-1]).shape

    def values_per_channel(self, batch):
        """How many values each batch normalization averages in training on a batch."""
        values = values_per_channel(self.model, batch[:-1])
        self._hybridize()  # again: compiled blocks do not call those within
        return values

    def weights_are_finite(self):
        """Whether no number that training changes is NaN or infinite; waits for them."""
        arrays = self.model.parameters()
        if not isinstance(arrays, list):
            arrays = [
                param.data(self.device)
                for name, param in arrays.items()
                if param.grad_req != "null" or "running_" in name
            ]
        return all(numpy.isfinite(array.asnumpy()).all() for array in arrays)

    def take_logged(self):
        """What the model logged since the last call, after waiting for earlier values.

        MXNet runs asynchronously: without the wait, Python would prepare hundreds of
        batches and keep them in memory. One batch ahead is enough.
        """
        logged = super().take_logged()
        for value in self._unfinished.values():
            value.wait_to_read()
        self._unfinished = logged
        return logged

    def clip_gradients(self, grad_clip_val, model):
        """Scale the gradients down to a joint norm of at most `grad_clip_val`.

        Those of other parameters than the optimiser's do not count.
        """
        grads = _gradients(self.optim, model)
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        scale = np.minimum(1, grad_clip_val / (norm + 1e-6))
        for grad in grads:
            grad *= scale

    def gpu_name(self):
        """The GPU's number, which is all that MXNet knows."""
        return str(self.gpus[0])


def _gradients(optim, model):
    """The gradients of what an optimiser trains, in the order of the model."""
    params = model.parameters()
    if isinstance(params, list):  # or more than those, in lists
        arrays = held([("optimizer", optim)], np.ndarray).values()
        arrays = [a for a in arrays if a.grad is not None]
        return [a.grad for a in arrays or params if a.grad is not None]
    known = {id(p) for p in getattr(optim, "_params", params.values())}
    params = [p for p in params.values() if id(p) in known]
    return [p.grad() for p in params if p.grad_req != "null"]


def _checked(logged, inputs):
    """`logged`, whose losses are NaN if an input is not finite: ReLU may hide it."""
    for X in inputs:
        finite = _is_finite(X)
        losses = {key: l for key, l in logged.items() if "loss" in key}
        logged |= {k: np.where(finite, l, np.nan) for k, l in losses.items()}
    return logged


def _is_finite(X):
    """Whether all numbers in X are finite, as a scalar on its device."""
    if X.dtype == numpy.float32 and X.ndim > 1:
        # One product, four times as fast: 0 times a number is 0 if it is finite, else NaN.
        X = X.reshape(len(X), -1)
        X = np.dot(X, np.zeros((X.shape[1], 1), ctx=X.ctx))
    return np.isfinite(X).min()
