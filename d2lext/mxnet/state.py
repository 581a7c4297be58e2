"""A training's state in MXNet: what a checkpoint keeps, and what identifies it."""

import numpy
from mxnet import gluon, np

from d2lext.core.training import trainer
from d2lext.mxnet import identity
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
        """The blocks, the optimiser, and a schedule in it."""
        optimizer = getattr(self.optim, "_optimizer", None)
        schedule = getattr(optimizer, "lr_scheduler", None)
        return numbered(self.model, self.optim, optimizer, schedule)

    def get_state(self):
        """Parameters and statistics as model/..., and what the optimiser keeps."""
        arrays = {name: a.asnumpy() for name, a in self._tensors().items()}
        for updater, i, n in self._updated():
            arrays["learning_rate"] = numpy.array(self.optim.learning_rate)
            if i in updater.states:
                count = updater.optimizer._index_update_count[i]
                arrays[f"updates/{n}"] = numpy.array(count)
                for j, array in enumerate(_leaves(updater.states[i])):
                    arrays[f"optimizer/{n}/{j}"] = array.asnumpy()
        return arrays

    def set_state(self, arrays):
        """Restore what `get_state` returned in an earlier process."""
        for name, tensor in self._tensors().items():
            # An array that a model only keeps, such as its last output, may be new.
            if name in arrays and arrays[name].shape == tensor.shape:
                tensor[:] = np.array(arrays[name], ctx=tensor.ctx)
        for updater, i, n in self._updated():
            if f"updates/{n}" not in arrays:
                continue
            optimizer, count = updater.optimizer, int(arrays[f"updates/{n}"])
            # Optimisers predate MXNet's NumPy arrays and take the older kind.
            weight = self.optim._params[i].data(self.device).as_nd_ndarray()
            state = optimizer.create_state_multi_precision(i, weight)
            for j, array in enumerate(_leaves(state)):
                array[:] = arrays[f"optimizer/{n}/{j}"]
            updater.states[i], updater.states_synced[i] = state, True
            optimizer._index_update_count[i] = count
            optimizer.num_update = max(count, optimizer.num_update)
            if (
                optimizer.lr_scheduler is None
            ):  # it is determined by the number of steps
                optimizer.lr = float(arrays["learning_rate"])

    def _tensors(self):
        """All arrays that train, as model/...; those that the model keeps, as kept/..."""
        params = self.model.collect_params().values()
        # By number: Gluon's names keep counting in a process's second model.
        tensors = {f"model/{i}": p.data(self.device) for i, p in enumerate(params)}
        for name, array in held_arrays(self.model, self.optim).items():
            kind = "kept" if array.grad is None else "model"
            tensors[f"{kind}/{name}"] = array
        return tensors

    def _updated(self):
        """(owner of the state, number in the optimiser, number in the model) of each.

        Empty for a reader's own optimiser. Gluon's parameters are in order of name.
        """
        if not isinstance(self.optim, gluon.Trainer):
            return
        params = self.model.parameters().values()
        numbers = {id(param): n for n, param in enumerate(params)}
        for updater in self.optim._updaters:
            for i, param in enumerate(self.optim._params):
                yield updater, i, numbers[id(param)]


def _leaves(state):
    """The arrays in an optimiser's state for one parameter: none, one or several."""
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in _leaves(part)]
    return [] if state is None else [state]
