"""The programs of a JAX trainer's steps, for a device that this machine need not have."""

from pathlib import Path
from types import SimpleNamespace

from d2lext import jax as d2l  # first, for its errors

# isort: split
import jax

from shared.random_images import Data

H200 = Path(__file__).with_name("h200.txtpb")
SMALL = {"growth_rate": 4, "num_channels": 8, "num_classes": 10, "in_channels": 1}


def described():
    """The GPU of the description, for which JAX compiles by its plug-in for CUDA 13."""
    from jax.experimental import topologies

    topology = topologies.get_topology_desc(
        platform="cuda",
        topology_name="h200",
        target_config=H200.read_text(),
        topology="1x1x1",
    )
    return topology.devices[0]


def feigned(**attributes):
    """A GPU that has nothing but the attributes which decide how steps are compiled."""
    return SimpleNamespace(platform="gpu", compute_capability="9.0", **attributes)


def lowered(
    device, step="train", name="densenet_d2l", size=16, options=None, **trainers
):
    """A step of a trainer on a device, traced and lowered: a program to be compiled."""
    model = d2l.create_model(name, **SMALL | {"arch": (1,)} | (options or {}))
    trainer = d2l.Trainer(max_epochs=1, **trainers)
    with trainer.seeded():
        trainer.prepare_data(Data(d2l, (1, size, size)))
        trainer.prepare_model(model)
        trainer.prepare_optimizer()
    trainer.device = device
    trainer._make_steps()
    sharding = None
    if isinstance(device, jax.Device):
        sharding = jax.sharding.SingleDeviceSharding(device)

    def shapes(tree):
        return jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding), tree
        )

    arguments = shapes((trainer.state.replace(apply_fn=None), trainer.sample))
    traced = getattr(trainer, f"_compiled_{step}_step").trace(*arguments)
    name = {"gpu": "cuda"}.get(device.platform, device.platform)
    return traced.lower(lowering_platforms=(name,))
