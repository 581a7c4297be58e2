"""What Gluon's trainers keep of a training, by name: momenta, counts, learning rates."""

import json

import numpy
from mxnet import gluon, np
from mxnet.ndarray import NDArray
from mxnet.optimizer import LBSGD

from d2lext.core.training.held import by_place, held, set_values
from d2lext.mxnet.module import numbered


def trainers(model, optim):
    """The optimiser as "", and other trainers that the model or a reader's optimiser holds.

    Without any of Gluon's it is empty.
    """
    found = {"": optim} if isinstance(optim, gluon.Trainer) else {}
    for name, inner in held(numbered(model, optim), gluon.Trainer).items():
        if inner is not optim:
            found[f"{name}/"] = inner
    return found


def get_state(model, optim):
    """Arrays of what they keep."""
    arrays = {}
    for prefix, trainer in trainers(model, optim).items():
        optimizer = trainer.optimizer
        arrays[f"{prefix}learning_rate"] = numpy.array(trainer.learning_rate)
        for place, array in by_place([("", optimizer)], NDArray).items():
            arrays[f"{prefix}state/{json.dumps(place[1:])}"] = array.asnumpy()
        for updater, i, n in _updated(model, trainer):
            if i in updater.states:
                # An optimiser need not count its updates.
                count = optimizer._index_update_count.get(i, 0)
                arrays[f"{prefix}updates/{n}"] = numpy.array(count)
                for j, array in enumerate(_leaves(updater.states[i])):
                    arrays[f"{prefix}optimizer/{n}/{j}"] = array.asnumpy()
    return arrays


def set_state(model, optim, arrays, device):
    """Let them go on, on a `device`, from what `get_state` returned."""
    for prefix, trainer in trainers(model, optim).items():
        _set_attributes(f"{prefix}state/", trainer, arrays, device)
        for updater, i, n in _updated(model, trainer):
            if f"{prefix}updates/{n}" not in arrays:
                continue
            optimizer, count = trainer.optimizer, int(arrays[f"{prefix}updates/{n}"])
            # Optimisers predate MXNet's NumPy arrays and take the older kind.
            weight = trainer._params[i].data(device).as_nd_ndarray()
            state = optimizer.create_state_multi_precision(i, weight)
            for j, array in enumerate(_leaves(state)):
                array[:] = arrays[f"{prefix}optimizer/{n}/{j}"]
            updater.states[i], updater.states_synced[i] = state, True
            optimizer._index_update_count[i] = count
            optimizer.num_update = max(count, optimizer.num_update)
            # A schedule is determined by the number of steps.
            if optimizer.lr_scheduler is None:
                optimizer.lr = float(arrays[f"{prefix}learning_rate"])


def _set_attributes(prefix, trainer, arrays, device):
    """Put arrays into attributes of an optimiser, where LBSGD adds up gradients."""
    optimizer = trainer.optimizer
    if isinstance(optimizer, LBSGD):  # it makes these as it goes
        optimizer.cumgrads = {i: {} for i in range(len(trainer._params))}
    for name, array in arrays.items():
        if name.startswith(prefix):
            place = ("", *json.loads(name.removeprefix(prefix)))
            array = np.array(array, array.dtype, ctx=device).as_nd_ndarray()
            set_values([("", optimizer)], {place: array})


def _updated(model, trainer):
    """(owner of the state, number in the trainer, number in the model) of each parameter.

    Gluon's parameters are in order of name. Raises ValueError for one that is not saved.
    """
    numbers = {id(param): n for n, param in enumerate(model.collect_params().values())}
    for updater in trainer._updaters:
        for i, param in enumerate(trainer._params):
            if id(param) not in numbers:
                raise ValueError(
                    "a checkpoint has the parameters of the model, got an optimiser of "
                    f"{param.name}, which is not among them: let its block be an attribute "
                    "of the model"
                )
            yield updater, i, numbers[id(param)]


def _leaves(state):
    """The arrays in an optimiser's state for one parameter: none, one or several."""
    if isinstance(state, (tuple, list)):
        return [array for part in state for array in _leaves(part)]
    return [] if state is None else [state]
