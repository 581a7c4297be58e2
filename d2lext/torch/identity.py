"""What identifies a training beside its hyperparameters: layers, and a fresh optimiser."""

import torch

from d2lext.core.training.fingerprint import attributes, is_plain

_NO_EFFECT = ("foreach", "fused", "capturable")  # they only change how fast it is


def layers(model, frozen):
    """What each layer is; which parameters, and which layers, are `frozen`."""
    found = {
        f"layers.{name}": (type(layer), layer.extra_repr())
        for name, layer in model.named_modules()
    }
    params = [n for n, p in model.named_parameters() if not p.requires_grad]
    names = [name for name, layer in model.named_modules() if layer in frozen]
    return {**found, "frozen parameters": params, "layers in evaluation mode": names}


def optimizer(optim, model, others):
    """The class and the options of an optimiser and of the `others`, its schedules."""
    found = attributes("optimizer", optim)
    if isinstance(optim, torch.optim.Optimizer):
        found = {n: v for n, v in found.items() if is_plain(v)}
        names = {id(param): name for name, param in model.named_parameters()}
        for i, group in enumerate(optim.param_groups):
            prefix = f"optimizer.{i}" if len(optim.param_groups) > 1 else "optimizer"
            params = [names.get(id(p), tuple(p.shape)) for p in group["params"]]
            for name, value in {**group, "params": params}.items():
                if name not in _NO_EFFECT:
                    found[f"{prefix}.{name}"] = value
    for name, value in others.items():
        if value is not optim:
            found |= attributes(name, value)
    return found
