"""The ways in which a framework saves a model, each a function that returns the file."""

import numpy as np


def torch_file(d2l, model, folder):
    import torch

    torch.save(model.state_dict(), folder / "model.pth")
    return folder / "model.pth"


def torch_safetensors(d2l, model, folder):
    from safetensors.torch import save_file

    save_file(model.state_dict(), folder / "model.safetensors")
    return folder / "model.safetensors"


def torch_module(d2l, model, folder):
    import torch

    torch.save({"net": model, "epoch": 3}, folder / "model.pt")
    return folder / "model.pt"


def mxnet_file(d2l, model, folder):
    model.save_parameters(str(folder / "model.params"))
    return folder / "model.params"


def keras_weights(d2l, model, folder):
    model.save_weights(folder / "model.weights.h5")
    return folder / "model.weights.h5"


def keras_archive(d2l, model, folder):
    model.save(folder / "model.keras")
    return folder / "model.keras"


def flax_variables(d2l, model, folder):
    from flax import serialization

    path = folder / "model.msgpack"
    path.write_bytes(serialization.to_bytes(model.variables))
    return path


def flax_state(d2l, model, folder):
    """A training state: momentum has the structure of the parameters."""
    from flax import serialization

    path = folder / "state.msgpack"
    momentum = {"0": {"trace": model.variables["params"]}}
    state = {"opt_state": momentum, "step": np.int64(3), **model.variables}
    path.write_bytes(serialization.to_bytes(state))
    return path


# Of the inner `net` alone.


def torch_net(d2l, model, folder):
    return torch_file(d2l, model.net, folder)


def torch_net_nested(d2l, model, folder):
    import torch

    torch.save({"model": model.net.state_dict(), "epoch": 3}, folder / "nested.pth")
    return folder / "nested.pth"


def torch_net_module(d2l, model, folder):
    return torch_module(d2l, model.net, folder)


def mxnet_net(d2l, model, folder):
    return mxnet_file(d2l, model.net, folder)


def keras_net_weights(d2l, model, folder):
    return keras_weights(d2l, model.net, folder)


def keras_net(d2l, model, folder):
    return keras_archive(d2l, model.net, folder)


def flax_net(d2l, model, folder):
    from flax import serialization

    variables = {name: arrays["net"] for name, arrays in model.variables.items()}
    (folder / "net.msgpack").write_bytes(serialization.to_bytes(variables))
    return folder / "net.msgpack"


FILES = {
    "torch": [torch_file, torch_safetensors, torch_module],
    "mxnet": [mxnet_file],
    "tensorflow": [keras_weights, keras_archive],
    "jax": [flax_variables, flax_state],
}
FILES_OF_NET = {
    "torch": [torch_net, torch_net_nested, torch_net_module],
    "mxnet": [mxnet_net],
    "tensorflow": [keras_net_weights, keras_net],
    "jax": [flax_net],
}
