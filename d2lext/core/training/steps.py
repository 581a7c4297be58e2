"""What a framework adds to the loop: its devices, its two steps, its state."""

import contextlib
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from d2lext.core.machine import processor
from d2lext.core.module import later_options
from d2lext.core.training import randomness
from d2lext.core.training.fingerprint import attributes


class Steps:
    """The methods that each backend's Trainer defines."""

    distributions: tuple[str, ...] = ()  # whose versions a result depends on
    devices: Any  # the backend's module of devices: cpu, gpu, num_gpus, why_no_gpu
    layers: tuple[type, ...] = ()  # the framework's base classes of layers
    # What a step calls of an optimiser, with how many arguments.
    optimizer_methods: ClassVar[dict[str, int]] = {}
    seed: int
    compiled: bool
    gpus: list  # the GPUs to train on; the CPU if empty
    model: Any
    optim: Any

    def find_gpus(self, num_gpus: int) -> list:
        """At most `num_gpus` of the machine's GPUs."""
        # Looking for GPUs may start their driver: then the process cannot fork any more.
        count = min(num_gpus, self.devices.num_gpus()) if num_gpus else 0
        return [self.devices.gpu(i) for i in range(count)]

    def find_device(self) -> Any:
        """The device to train on: the first of `gpus`, else the CPU."""
        return self.gpus[0] if self.gpus else self.devices.cpu()

    def device_name(self) -> str:
        """The GPU's name, or the CPU's with its number of cores."""
        return self.gpu_name() if self.gpus else f"CPU: {processor.cpu_name()}"

    def gpu_name(self) -> str:
        """The name of the GPU to train on."""
        raise NotImplementedError

    def fastest(self) -> tuple[str, bool]:
        """The precision of the fastest steps on this machine; whether to compile them."""
        raise NotImplementedError

    def how_compiled(self) -> str:
        """Whether steps are compiled, in words."""
        return "compiled" if self.compiled else "not compiled"

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        """Within, `seed` determines common random numbers; then they go on as before.

        A thread waits here while another one trains.
        """
        with randomness.alone(), self.framework_kept():
            self.seed_framework()
            yield

    def framework_kept(self) -> contextlib.AbstractContextManager:
        """A context after which the framework's own random numbers go on as before."""
        return contextlib.nullcontext()

    def seed_framework(self) -> None:
        """Seed the random numbers of Python, NumPy and the framework with `seed`."""
        random.seed(self.seed)
        np.random.seed(self.seed)

    def only_deterministic(self) -> contextlib.AbstractContextManager:
        """A context in which the framework uses only deterministic algorithms."""
        return contextlib.nullcontext()

    def adopt(self, model: Any) -> None:
        """Let this trainer take a model that does not extend d2lext's Module.

        Raises TypeError where the framework cannot.
        """
        package, kind = self.devices.__name__.rpartition(".")[0], type(model)
        raise TypeError(
            f"a model must extend {package}.Module or Classifier, got "
            f"{kind.__module__}.{kind.__qualname__}: let its class extend one of them, "
            "make it the net of such a class, or import d2lext before d2l"
        )

    def seeds(self) -> dict[str, Any]:
        """What determines the random numbers of a training, by name."""
        return {"seed": self.seed}

    def network_options(self) -> dict[str, Any]:
        """The options of the model, which identify it in a checkpoint, as they are now."""
        hparams = getattr(self.model, "hparams", {})
        options = {name: getattr(self.model, name, v) for name, v in hparams.items()}
        return options | later_options(self.model)

    def network_layers(self) -> dict[str, Any]:
        """What each layer is, and what is frozen, by name: they identify it as well."""
        return {}

    def optimizer_options(self) -> dict[str, Any]:
        """The optimiser's class as "optimizer", its options as "optimizer.lr", ..."""
        return attributes("optimizer", self.optim)

    def owners(self) -> list[tuple[str, Any]]:
        """Named objects whose attributes Python code may change in a step."""
        return [("model", self.model), ("optimizer", self.optim)]

    def prepare_batch(self, batch: Any) -> Any:
        """The batch on the device."""
        return batch

    def train_step(self, batch: Any) -> dict[str, Any]:
        """One step of the optimiser; returns what the model logged."""
        raise NotImplementedError

    def eval_step(self, batch: Any) -> dict[str, Any]:
        """Validate on one batch; returns what the model logged.

        A loss is NaN if an input is NaN or infinite: ReLU may have turned it into 0.
        """
        raise NotImplementedError

    def try_out(self, function: Callable[[], Any]) -> None:
        """Call a function of the step only for its exception; nothing of it stays."""
        raise NotImplementedError

    def nothing_trains(self, remedy: str) -> ValueError:
        """The error for a loss that no parameter changes."""
        return ValueError(
            "the loss must depend on at least one parameter that trains, got a "
            f"{type(self.model).__name__} in which it depends on none: {remedy}"
        )

    def begin_average(self) -> dict[str, tuple[Any, Any]]:
        """What trains, and the statistics of normalization, each with an average of 0."""
        raise NotImplementedError

    def exchange_average(self) -> None:
        """Exchange the average and what the model has."""
        raise NotImplementedError

    def finish(self) -> None:
        """After the last epoch: weights with which an optimiser wants to leave the model.

        They are not in the checkpoint, from which training would go on.
        """

    def numpy(self, tensor: Any) -> np.ndarray:
        """A tensor of a batch as a NumPy array."""
        raise NotImplementedError

    def output_shape(self, batch: Any) -> Sequence[int]:
        """The shape of the model's output for a batch on the device."""
        raise NotImplementedError

    def values_per_channel(self, batch: Any) -> list[int]:
        """How many values each batch normalization averages in training on a batch."""
        raise NotImplementedError

    def weights_are_finite(self) -> bool:
        """Whether no number that training changes is NaN or infinite; waits for them.

        These are trainable parameters and the statistics of batch normalization. Other
        numbers may be infinite, as in a mask.
        """
        raise NotImplementedError

    def get_state(self) -> dict[str, np.ndarray]:
        """What training has changed, by name; the model's parameters as model/...

        All that trains is among the latter, also arrays that the framework does not count
        as parameters. Random numbers, an average, and what a model only keeps, have other
        names.
        """
        raise NotImplementedError

    def set_state(self, arrays: dict[str, np.ndarray]) -> None:
        """Restore what `get_state` returned in an earlier process."""
        raise NotImplementedError

    def skip_epochs(self, number: int) -> None:
        """Let a loader that counts how often it is read go on after `number` epochs."""
