"""A training's state in MXNet: what a checkpoint keeps, and what identifies it."""

import numpy
from mxnet import np

from d2lext.core.training import trainer
from d2lext.mxnet import identity, optimizers
from d2lext.mxnet.module import held_arrays, numbered


class State(trainer.Trainer):
    """A trainer whose state can be taken and restored."""

    def network_layers(self):
        """The options of each layer, and what is frozen."""
        return identity.layers(self.model)

    def optimizer_options(self):
        """The options of the optimiser and of a schedule."""
        return identity.optimizer(self.optim, self.model)

    def owners(self):
        """The blocks, the optimisers, and schedules in them."""
        trainers = optimizers.trainers(self.model, self.optim).values()
        inner = [trainer.optimizer for trainer in trainers]
        schedules = [optimizer.lr_scheduler for optimizer in inner]
        return numbered(self.model, self.optim, *inner, *schedules)

    def get_state(self):
        """Parameters and statistics as model/..., and what the optimisers keep."""
        tensors = self._tensors()
        tensors |= {f"average/{n}": a for n, (_, a) in self.average.pairs.items()}
        arrays = {name: a.asnumpy() for name, a in tensors.items()}
        return arrays | optimizers.get_state(self.model, self.optim)

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        for name, tensor in self._tensors().items():
            # An array that a model only keeps, such as its last output, may be new.
            if name in arrays and arrays[name].shape == tensor.shape:
                tensor[:] = np.array(arrays[name], ctx=tensor.ctx)
        for name, (_, average) in self.average.pairs.items():
            average[:] = np.array(arrays[f"average/{name}"], ctx=average.ctx)
        optimizers.set_state(self.model, self.optim, arrays, self.device)

    def begin_average(self):
        """What trains, and the statistics of normalization, each with an average of 0."""
        return {
            name: (tensor, np.zeros_like(tensor))
            for name, tensor in self._tensors().items()
            if name.startswith("model/") and numpy.dtype(tensor.dtype).kind == "f"
        }

    def exchange_average(self):
        """Exchange the average and what the model has, in place."""
        for tensor, average in self.average.pairs.values():
            before = average.copy()
            average[:] = tensor
            tensor[:] = before

    def update_average(self, keep):
        """Let the average keep a share of what it was, and take the rest from now."""
        for tensor, average in self.average.pairs.values():
            average += (tensor - average) * (1 - keep)

    def _tensors(self):
        """All arrays that train, as model/...; those that the model keeps, as kept/..."""
        params = self.model.collect_params().values()
        # By number: Gluon's names keep counting in a process's second model.
        tensors = {f"model/{i}": p.data(self.device) for i, p in enumerate(params)}
        for name, array in held_arrays(self.model, self.optim).items():
            kind = "kept" if array.grad is None else "model"
            tensors[f"{kind}/{name}"] = array
        return tensors
