"""A training's state in PyTorch: what a checkpoint keeps, and what identifies it."""

import io
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from d2lext.core.training import trainer
from d2lext.core.training.held import held
from d2lext.torch import accelerators, identity


class State(trainer.Trainer):
    """A trainer whose state can be taken and restored."""

    def network_layers(self):
        """The options of each layer, and what is frozen."""
        return identity.layers(self.model, self._frozen)

    def optimizer_options(self):
        """The options of the optimiser and of schedules."""
        return identity.optimizer(self.optim, self.model, self._others())

    def owners(self):
        """The modules, the optimiser, and what else has a state."""
        modules = [(f"model.{n}", m) for n, m in self.model.named_modules()]
        return [*modules, ("optimizer", self.optim), *self._others().items()]

    def get_state(self):
        """Parameters and statistics as model/..., the optimiser, the random numbers."""
        tensors = {f"model/{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {f"average/{n}": a for n, (_, a) in self.average.pairs.items()}
        arrays = {name: _array(t) for name, t in (tensors | self._held()).items()}
        buffer = io.BytesIO()
        others = {name: value.state_dict() for name, value in self._others().items()}
        of_gpus = accelerators.rng_states(self.gpus)
        torch.save([_plain(others), torch.get_rng_state(), *of_gpus], buffer)
        return {**arrays, "others": np.frombuffer(buffer.getvalue(), np.uint8)}

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        buffer = io.BytesIO(arrays["others"].tobytes())
        others, rng_state, *of_gpus = torch.load(buffer, weights_only=True)
        names = self.model.state_dict()
        self.model.load_state_dict(
            {name: _tensor(arrays[f"model/{name}"], t) for name, t in names.items()}
        )
        with torch.no_grad():
            for name, (_, average) in self.average.pairs.items():
                average.copy_(_tensor(arrays[f"average/{name}"], average))
            for name, tensor in self._held().items():
                # What a model only keeps, such as its last output, may be new.
                if name in arrays and arrays[name].shape == tensor.shape:
                    tensor.copy_(_tensor(arrays[name], tensor))
        for name, value in self._others().items():
            if name in others:
                value.load_state_dict(others[name])
        torch.set_rng_state(rng_state)
        accelerators.set_rng_states(self.gpus, of_gpus)

    def begin_average(self):
        """What trains, and the statistics of normalization, each with an average of 0."""
        tensors = {f"model/{n}": t for n, t in self.model.state_dict().items()}
        tensors |= {n: t.detach() for n, t in self._held().items()}
        return {
            name: (tensor, torch.zeros_like(tensor))
            for name, tensor in tensors.items()
            if name.startswith("model/") and tensor.is_floating_point()
        }

    def exchange_average(self):
        """Exchange the average and what the model has, in place."""
        for tensor, average in self.average.pairs.values():
            before = average.clone()
            average.copy_(tensor)
            tensor.copy_(before)

    def update_average(self, keep):
        """Let the average keep a share of what it was, and take the rest from now."""
        tensors, averages = zip(*self.average.pairs.values(), strict=True)
        get_ema_multi_avg_fn(keep)(averages, tensors, None)

    def _held(self):
        """Plain tensors: those that train as model/..., what the model keeps as kept/..."""
        registered = self.model.state_dict(keep_vars=True).values()
        known = {id(tensor) for tensor in registered}
        owners = [*self.model.named_modules(), ("optimizer", self.optim)]
        return {
            f"{'model' if tensor.requires_grad else 'kept'}/{name}": tensor
            for name, tensor in held(owners, torch.Tensor).items()
            if id(tensor) not in known and tensor.is_leaf
        }

    def _others(self):
        """What else has a state: optimisers, schedules, also in lists."""
        owners = [("trainer", self), ("model", self.model), ("optimizer", self.optim)]
        return {
            name: value
            for name, value in held(owners, _Stateful).items()
            if not isinstance(value, nn.Module)
            and "dataloader" not in name  # the number of steps says where it is
        }


@runtime_checkable
class _Stateful(Protocol):
    def state_dict(self): ...

    def load_state_dict(self, state): ...


def _array(tensor):
    """A tensor as a NumPy array; the bits of bfloat16 as integers."""
    tensor = tensor.detach().cpu()
    is_bf16 = tensor.dtype == torch.bfloat16
    return (tensor.view(torch.int16) if is_bf16 else tensor).numpy()


def _tensor(array, like):
    """The reverse of `_array`, for a tensor `like` it."""
    tensor = torch.from_numpy(array)
    return tensor.view(torch.bfloat16) if like.dtype == torch.bfloat16 else tensor


def _plain(state):
    """A state with NumPy's numbers as Python's, which a checkpoint can read again.

    Functions are left out: what they belong to has them.
    """
    if isinstance(state, np.generic):
        return state.item()
    if isinstance(state, dict):
        pairs = [(k, _plain(v)) for k, v in state.items()]
        return {k: v for k, v in pairs if not callable(v)}
    if type(state) in (list, tuple):
        return type(state)(map(_plain, state))
    return state
