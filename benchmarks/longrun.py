"""The long run of the chapter on training: the recipe that its ladder leads to.

python -m benchmarks.longrun                          an evening on two cores
python -m benchmarks.longrun --recipe long            days on two cores, hours on a GPU
D2LEXT_EPOCHS=1 python -m benchmarks.longrun --backend jax       the first epoch of it

A whole run is tested once. It writes its record into the library, in PyTorch its weights
as well. A training that was interrupted resumes, from `_build/bench`.
"""

import argparse
import time
from importlib import import_module
from pathlib import Path

from d2lext.core.frameworks import IDS
from d2lext.core.training import records

# Two networks of the family for 28x28 pixels, and how long each trains.
RECIPES = {
    # Few layers where maps are large, and wide ones: an epoch in a quarter of the time.
    "short": {
        "network": {"arch": (3, 6, 12), "growth_rate": 20, "num_channels": 40},
        "max_epochs": 12,
        "lr": 0.1,
        "batch_size": 128,
        "ema": None,
    },
    # The paper's 768,730 parameters and 300 epochs (Section 4.2).
    "long": {
        "network": {},
        "max_epochs": 300,
        "lr": 0.1,
        "batch_size": 64,
        "ema": 0.999,
    },
}


def augment(d2l, recipe):
    """Shifts and flips; a long training needs more."""
    short = d2l.RandomShift(2), d2l.RandomFlip()
    return (*short, d2l.RandomErasing()) if recipe == "long" else short


def parts(d2l, recipe, trainer=None, **options):
    """The data, the model and the trainer of a recipe."""
    chosen = RECIPES[recipe]
    data = d2l.FashionMNIST(chosen["batch_size"], augment=augment(d2l, recipe))
    model = d2l.create_model(
        "densenet_bc_100_12",
        in_channels=1,
        lr=chosen["lr"],
        momentum=0.9,
        weight_decay=5e-4,
        nesterov=True,
        decay_all=False,
        **chosen["network"],
    )
    trainer = (trainer or d2l.Trainer)(
        chosen["max_epochs"],
        num_gpus=1,
        schedule=d2l.OneCycleSchedule(warmup=0.2),
        ema=chosen["ema"],
        **options,
    )
    return data, model, trainer


def timed(base):
    """A trainer that notes the seconds of all processors that each epoch takes."""

    class Timed(base):
        def fit_epoch(self):
            start = time.process_time()
            super().fit_epoch()
            entry = self.history[-1]
            entry["processor_seconds"] = time.process_time() - start
            print({k: round(v, 4) for k, v in entry.items()}, flush=True)

    return Timed


def main(argv=None):
    """Train, test once, write the record into the library."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.longrun",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--recipe", choices=RECIPES, default="short")
    parser.add_argument("--backend", choices=IDS, default="torch")
    args = parser.parse_args(argv)
    name = f"longrun-{args.recipe}-{args.backend}"
    checkpoint = Path("_build/bench") / f"{name}.npz"
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    d2l = import_module(f"d2lext.{args.backend}")
    data, model, trainer = parts(
        d2l, args.recipe, timed(d2l.Trainer), checkpoint=checkpoint
    )
    trainer.fit(model, data)
    is_whole = len(trainer.history) == trainer.max_epochs
    if is_whole and args.backend == "torch":  # before the record, which leads to them
        d2l.save_weights(model, records.folder() / f"{name}.safetensors")
    print("written:", records.write(name, trainer, data if is_whole else None))


if __name__ == "__main__":
    main()
