"""The training loop's steps in PyTorch."""

import functools

import torch
from torch.nn.parameter import is_lazy

from d2lext.core import initializers, provenance, trainer
from d2lext.core.allocator import keep_pages
from d2lext.core.plotting import ProgressBoard
from d2lext.torch import device
from d2lext.torch.module import Module


class Trainer(trainer.Trainer):
    """Fit a model on one GPU or on the CPU."""

    distributions = ("torch",)

    def find_gpus(self, num_gpus):
        """At most `num_gpus` CUDA devices."""
        return [device.gpu(i) for i in range(min(num_gpus, device.num_gpus()))]

    def seed_framework(self):
        """Seed PyTorch's random numbers on all devices."""
        torch.manual_seed(self.seed)

    def prepare_model(self, model):
        """Move the model to the device, with channels last in memory."""
        if not isinstance(model, Module):
            # One of d2l's own: it then reports here, and draws on a board of ours.
            model.board = ProgressBoard()
            model.plot = functools.partial(Module.plot, model)
        super().prepare_model(model)
        if not self.gpus:
            keep_pages()
        self._device = self.gpus[0] if self.gpus else device.cpu()
        if any(is_lazy(param) for param in model.parameters()):
            # Built on the CPU, weights do not depend on the device.
            model.eval()
            with torch.no_grad(), initializers.seeded(self.seed):
                model(*self.sample[:-1])
        # channels_last: convolutions are about twice as fast on CPUs.
        model.to(self._device, memory_format=torch.channels_last)

    def prepare_batch(self, batch):
        """The batch on the device."""
        return [a.to(self._device) for a in batch]

    def train_step(self, batch):
        """Forward, backward, one step of the optimiser."""
        self.model.train()
        loss = self.model.training_step(batch)
        self.optim.zero_grad()
        loss.backward()
        with torch.no_grad():  # an optimiser of one's own need not say so
            if self.gradient_clip_val > 0:
                self.clip_gradients(self.gradient_clip_val, self.model)
            self.optim.step()
        return self.take_logged()

    def eval_step(self, batch):
        """Validate in evaluation mode, without gradients."""
        self.model.eval()
        with torch.no_grad():
            self.model.validation_step(batch)
        return self.take_logged()

    def clip_gradients(self, grad_clip_val, model):
        """Scale the gradients down to a joint norm of at most `grad_clip_val`."""
        torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip_val)

    def device_name(self):
        """The GPU's name, or the CPU's with its number of cores."""
        if self.gpus:
            return torch.cuda.get_device_name(self.gpus[0])
        return f"CPU: {provenance.cpu_name()}"
