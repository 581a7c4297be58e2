"""What identifies a training beside its hyperparameters: layers, and a fresh optimiser."""

from mxnet import gluon

from d2lext.core.training.fingerprint import attributes, is_plain, text


def layers(model):
    """What each layer is, and each parameter beside its values."""
    found = {f"layers.{path}": described for path, *described in _described("", model)}
    for i, param in enumerate(model.collect_params().values()):
        options = ("grad_req", "lr_mult", "wd_mult")
        found[f"parameter {i}"] = {n: getattr(param, n) for n in options}
    return found


def optimizer(optim, model):
    """The class and the options of an optimiser, with a schedule of its learning rate."""
    if not isinstance(optim, gluon.Trainer):
        found = attributes("optimizer", optim)
        return {name: _shapes(value) for name, value in found.items()}
    kept = optim.optimizer
    found = {n: v for n, v in attributes("optimizer", kept).items() if is_plain(v)}
    found |= {f"optimizer.{n}": getattr(kept, n) for n in ("lr_mult", "wd_mult")}
    if kept.lr_scheduler is not None:
        found |= attributes("optimizer.lr_scheduler", kept.lr_scheduler)
    numbers = {id(p): i for i, p in enumerate(model.collect_params().values())}
    # Gluon has them in the order of names, which keep counting in a process.
    params = sorted(numbers.get(id(p), -1) for p in optim._params)
    return found | {"optimizer.params": params}


def _described(path, block):
    """(path, class, words) of a block and of all in it."""
    # The repr of a block with others in it shows those, too.
    yield path, type(block), "" if "\n" in repr(block) else text(block)
    for name, child in block._children.items():
        yield from _described(f"{path}.{name}".lstrip("."), child)


def _shapes(value):
    """Shapes in place of parameters, whose names keep counting in a process."""
    if isinstance(value, dict):
        return [_shapes(part) for part in value.values()]
    if isinstance(value, list | tuple):
        return [_shapes(part) for part in value]
    return value.shape if isinstance(value, gluon.Parameter) else value
