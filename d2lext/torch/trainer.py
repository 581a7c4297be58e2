"""The training loop's steps in PyTorch."""

import contextlib
import functools
import os

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from d2lext.core.checks import check_mean
from d2lext.core.densenet import initializers
from d2lext.core.frameworks import FRAMEWORKS
from d2lext.core.machine import processor
from d2lext.core.machine.allocator import keep_pages
from d2lext.core.plotting import ProgressBoard
from d2lext.core.training import rate
from d2lext.core.training.held import held
from d2lext.torch import accelerators, device
from d2lext.torch.batchnorm import values_per_channel
from d2lext.torch.module import Module
from d2lext.torch.speed import graphs, layout
from d2lext.torch.state import State


class Trainer(State):
    """Fit a model on one GPU or on the CPU.

    With `compile=None`, NVIDIA's GPUs repeat steps without Python: forward and backward
    pass are captured in a CUDA graph, once a few steps have shown that they leave nothing
    to Python; otherwise a warning says what they leave. The numbers are the same. Those in
    attributes of layers may change between steps, and they are captured again. Whatever
    else Python reads stays as it was, such as global variables, and what it does outside
    of the model is not done again, such as to print. `compile=False` calls each step.
    """

    distributions = FRAMEWORKS["torch"].modules
    devices = device
    layers = (nn.Module,)
    optimizer_methods = {"zero_grad": 0, "step": 0}

    def fastest(self):
        """bf16 if the hardware multiplies it, not compiled.

        On CPUs, compiled steps were slower than eager ones; convolutions are oneDNN's
        either way. On CUDA, steps are captured instead.
        """
        has_bf16 = processor.has_bfloat16()
        if self.gpus:
            has_bf16 = accelerators.multiplies_bf16(self.gpus[0])
        return "bf16" if has_bf16 else "fp32", False

    def framework_kept(self):
        """A context after which PyTorch's random numbers go on as before."""
        # Not on GPUs of a process that uses none: it could not fork any more.
        return accelerators.random_kept(accelerators.in_use() or self.gpus)

    def seed_framework(self):
        """Seed PyTorch's random numbers on all devices, Python's and NumPy's."""
        super().seed_framework()
        torch.manual_seed(self.seed)

    @contextlib.contextmanager
    def only_deterministic(self):
        """Let PyTorch raise if it has no deterministic algorithm."""
        before = torch.are_deterministic_algorithms_enabled()
        benchmark = torch.backends.cudnn.benchmark
        # cuBLAS requires it, and reads it when a process first uses cuBLAS.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = (
            False  # each run could pick a different algorithm
        )
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            torch.backends.cudnn.benchmark = benchmark

    def adopt(self, model):
        """Let a model of d2l, imported before d2lext, report to us and draw on our board.

        Any other raises TypeError.
        """
        if not hasattr(model, "training_step"):
            super().adopt(model)
        model.board = ProgressBoard()
        model.plot = functools.partial(Module.plot, model)

    def prepare_model(self, model):
        """Move the model to the device, with channels last in memory."""
        super().prepare_model(model)
        self._frozen = _frozen_layers(model)
        if not self.gpus:
            keep_pages()
        if any(is_lazy(param) for param in model.parameters()):
            # Built on the CPU, so that weights do not depend on the device.
            model.eval()
            with torch.no_grad(), initializers.seeded(self.seed):
                model.cpu()(*(a.cpu() for a in self.sample[:-1]))
        model.to(self.device)
        if self.device.type != "mps":
            layout.faster(model)
        self._loss = model.training_step
        if self.compiled:
            self._loss = torch.compile(model.training_step)
        self._is_captured = False
        self._train, self._eval = self._gradients, self._validate

    def prepare_optimizer(self):
        """Make the optimiser; from now on steps may be captured."""
        super().prepare_optimizer()
        if self.schedule is not None:
            self._scheduled = _with_rates(self.optim)
        self._is_captured = graphs.may_capture(self)
        if self._is_captured:
            self._train = graphs.Graphs(self, self._gradients)
            self._eval = graphs.Graphs(self, self._validate)

    def prepare_batch(self, batch):
        """The batch on the device."""
        return [accelerators.moved(a, self.device) for a in batch]

    def train_step(self, batch):
        """Forward, backward, one step of the optimiser."""
        self._set_mode(training=True)
        with self._own_modes():
            self._train(batch)
            with torch.no_grad():  # a reader's own optimiser may lack it
                if self.gradient_clip_val > 0:
                    self.clip_gradients(self.gradient_clip_val, self.model)
                with rate.scaled(self._rates(), rate.factor(self)):
                    self.optim.step()
        if self.average.keep is not None:
            self.update_average(self.average.keep)
        return self.take_logged()

    def eval_step(self, batch):
        """Validate in evaluation mode, without gradients."""
        self._set_mode(training=False)
        with self._own_modes(), torch.no_grad():
            self._eval(batch)
        return _checked(self.take_logged(), batch[:-1])

    def _gradients(self, batch):
        """Forward and backward."""
        dtype = torch.bfloat16 if self.used_precision == "bf16" else None
        with accelerators.autocast(self.device, dtype):
            loss = self._loss(batch)
        check_mean(loss=loss)
        if not loss.requires_grad:
            raise self.nothing_trains("call requires_grad_() on what is to train")
        self.optim.zero_grad()
        loss.backward()

    def _validate(self, batch):
        """Forward alone."""
        self.model.validation_step(batch)

    def _rates(self):
        """The places of the learning rates: a model may add groups of parameters."""
        if self.schedule is None:
            return []
        groups = [group for o in self._scheduled for group in o.param_groups]
        return [(group, "lr") for group in groups] or rate.place_in(self.optim)

    def _set_mode(self, training):
        """Let the model train, without its frozen layers, or evaluate."""
        is_same = self.model.training == training
        if is_same and isinstance(self._train, graphs.Graphs):
            return  # each layer has a mode: setting them takes as long as a replay
        self.model.train(training)
        for layer in self._frozen:
            layer.training = False

    @contextlib.contextmanager
    def _own_modes(self):
        """Within, gradients are on, autocast and TF32 are off, whatever is around `fit`."""
        device = self.device
        # Within an autocast it would keep the first step's weights, in bfloat16.
        torch.clear_autocast_cache()
        with (
            torch.enable_grad(),
            accelerators.autocast(device),
            accelerators.in_fp32(device),
        ):
            yield

    @torch.compiler.disable  # which would log the exception
    def try_out(self, function):
        """Call a function of the step only for its exception; nothing of it stays."""
        with torch.no_grad():
            function()

    def finish(self):
        """Free the memory of captured steps; the next ones are not captured."""
        if self._is_captured:
            self._is_captured = self._train.replays > 0
            self._train, self._eval = self._gradients, self._validate

    def how_compiled(self):
        """How steps run, in words."""
        return "captured" if self._is_captured else super().how_compiled()

    def numpy(self, tensor):
        """A tensor of a batch as a NumPy array."""
        return tensor.detach().cpu().numpy()

    def output_shape(self, batch):
        """The shape of the model's output for a batch on the device."""
        self.model.eval()
        with torch.no_grad():
            return self.model(*batch[:-1]).shape

    def values_per_channel(self, batch):
        """How many values each batch normalization averages in training on a batch."""
        return values_per_channel(self.model, batch[:-1], self._frozen)

    def weights_are_finite(self):
        """Whether no number that training changes is NaN or infinite; waits for them."""
        tensors = [p for p in self.model.parameters() if p.requires_grad]
        tensors += [b for name, b in self.model.named_buffers() if "running_" in name]
        finite = [_is_finite(tensor) for tensor in tensors if not is_lazy(tensor)]
        return not finite or bool(torch.stack(finite).all())  # one answer of a GPU

    def clip_gradients(self, grad_clip_val, model):
        """Scale the gradients down to a joint norm of at most `grad_clip_val`.

        Those of other parameters than the optimiser's do not count: nobody clears them.
        """
        params = _trained(self.optim, model)
        torch.nn.utils.clip_grad_norm_(params, grad_clip_val)

    def gpu_name(self):
        """What the maker calls the GPU."""
        return accelerators.name(self.gpus[0])


def _frozen_layers(model):
    """The layers that their author has put in evaluation mode: they stay there.

    A fit leaves all of them in it, and notes in each whether it has been trained.
    """
    note = "_trained_in_fit"
    resting = [layer for layer in model.modules() if not layer.training]
    if not model.training:  # as a fit left it, or somebody who evaluated it
        frozen = [layer for layer in resting if vars(layer).get(note) is False]
    elif note in vars(model):  # somebody has called `train` since that fit
        frozen = resting
    else:  # some layers may be another model's, as a fit left it
        frozen = [layer for layer in resting if not vars(layer).get(note)]
    for layer in model.modules():
        vars(layer)[note] = layer not in frozen
    return frozen


def _trained(optim, model):
    """The tensors that an optimiser trains, in the order of the model."""
    if isinstance(optim, torch.optim.Optimizer):
        tensors = [p for group in optim.param_groups for p in group["params"]]
    else:
        tensors = held([("optimizer", optim)], torch.Tensor).values()
        tensors = [t for t in tensors if t.requires_grad and t.is_leaf]
    numbers = {id(p): i for i, p in enumerate(model.parameters())}
    tensors.sort(key=lambda t: numbers.get(id(t), len(numbers)))
    return tensors or model.parameters()


def _with_rates(optim):
    """The optimisers with groups of parameters: `optim`, or those that it holds."""
    if hasattr(optim, "param_groups"):
        return [optim]
    found = list(held([("optimizer", optim)], torch.optim.Optimizer).values())
    if not found:
        rate.place_in(optim)
    return found


def _checked(logged, inputs):
    """`logged`, whose losses are NaN if an input is not finite: ReLU may hide it."""
    for X in inputs:
        finite = _is_finite(X)
        losses = {key: l for key, l in logged.items() if "loss" in key}
        logged |= {k: torch.where(finite, l, torch.nan) for k, l in losses.items()}
    return logged


def _is_finite(X):
    """Whether all numbers in X are finite, as a scalar on its device."""
    if not X.is_floating_point() or not X.numel():
        return X.new_ones((), dtype=torch.bool)
    # `isfinite` of all numbers would fill three arrays as large as X.
    return torch.stack(X.aminmax()).isfinite().all()
