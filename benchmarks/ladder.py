"""The ladder of the chapter on training: one change of the recipe at a time.

python -m benchmarks.ladder             all rungs, with seeds 0, 1 and 2

Each run takes about a minute of one core, and is kept in `_build/bench/ladder`, so that
what was interrupted resumes. When all runs are there, their record goes into the library.
"""

import argparse
import contextlib
import io
import json
import time
from pathlib import Path

import torch

from d2lext import torch as d2l
from d2lext.core.training import provenance, records

# The network, the images and the budget of every rung, but for what it changes. The batches
# are whole: a last one of four images would leave statistics of four images.
NETWORK = {"arch": (2, 2, 2), "growth_rate": 12, "in_channels": 1}
NUM_TRAIN, NUM_CURVE, MAX_EPOCHS, BATCH_SIZE = 2_560, 1_000, 8, 64
SEEDS = (0, 1, 2)

# The options of model, data and trainer, each rung from another one.
PLAIN = {"lr": 0.1}
MOMENTUM = PLAIN | {"momentum": 0.9}
NESTEROV = MOMENTUM | {"nesterov": True}
COSINE = NESTEROV | {"schedule": d2l.CosineSchedule()}
DECAY = COSINE | {"weight_decay": 5e-4, "decay_all": False}
SHIFT, FLIP = d2l.RandomShift(2), d2l.RandomFlip()
ERASE, MIXUP = d2l.RandomErasing(), d2l.MixUp(0.2)
AUGMENTED = DECAY | {"augment": (SHIFT, FLIP)}

# name: (options, the rung that it is compared with)
RUNGS = {
    "plain": (PLAIN, None),
    "rate 0.01": (PLAIN | {"lr": 0.01}, "plain"),
    "rate 0.03": (PLAIN | {"lr": 0.03}, "plain"),
    "rate 0.3": (PLAIN | {"lr": 0.3}, "plain"),
    "momentum": (MOMENTUM, "plain"),
    "momentum, rate 0.01": (MOMENTUM | {"lr": 0.01}, "plain"),
    "Nesterov": (NESTEROV, "momentum"),
    "cosine": (COSINE, "Nesterov"),
    "steps": (NESTEROV | {"schedule": d2l.StepSchedule()}, "cosine"),
    "warm-up": (NESTEROV | {"schedule": d2l.CosineSchedule(warmup=0.2)}, "cosine"),
    "one cycle": (NESTEROV | {"schedule": d2l.OneCycleSchedule()}, "cosine"),
    "average": (NESTEROV | {"ema": 0.98}, "Nesterov"),
    "average of cosine": (COSINE | {"ema": 0.98}, "cosine"),
    "decay": (DECAY, "cosine"),
    "decay of all": (DECAY | {"decay_all": True}, "decay"),
    "shifts": (DECAY | {"augment": (SHIFT,)}, "decay"),
    "flips": (DECAY | {"augment": (FLIP,)}, "decay"),
    "erasing": (DECAY | {"augment": (ERASE,)}, "decay"),
    "mixup": (DECAY | {"augment": (MIXUP,)}, "decay"),
    "shifts and flips": (AUGMENTED, "decay"),
    "smoothing": (AUGMENTED | {"label_smoothing": 0.1}, "shifts and flips"),
    "dropout": (DECAY | {"dropout": 0.2}, "decay"),
    "dropout, augmented": (AUGMENTED | {"dropout": 0.2}, "shifts and flips"),
    "batch 256": (DECAY | {"batch_size": 256}, "decay"),
    "batch 256, rate 0.4": (DECAY | {"batch_size": 256, "lr": 0.4}, "decay"),
    "single precision": (DECAY | {"precision": "fp32"}, "decay"),
}
# Equal multiply-adds, 40 layers or 100: larger networks, so a smaller budget.
PAIR = {
    "40 layers, k = 24": {"arch": (6, 6, 6), "growth_rate": 24, "num_channels": 48},
    "100 layers, k = 12": {},
}
PAIR_SIZES = {"num_train": 1_024, "max_epochs": 3, "num_curve": 100, "num_val": 2_000}

OF_DATA, OF_TRAINER = ("augment", "batch_size"), ("schedule", "ema", "precision")


class Data(d2l.FashionMNIST):
    """Validation in three parts: one for curves, another one to look back, and all."""

    num_curve = NUM_CURVE

    def part(self, start, stop):
        """The held-out images `start` to `stop`, in order."""
        index = self.val_index[start:stop]
        images, labels = self.source.train_images, self.source.train_labels
        return self._batches(images[index], labels[index], shuffle=False)

    def val_dataloader(self):
        return self.part(0, self.num_curve)


class Trainer(d2l.Trainer):
    """Looks at other images than those of the curve after each epoch, too."""

    def fit_epoch(self):
        start = time.process_time()
        super().fit_epoch()
        entry = self.history[-1]
        entry["processor_seconds"] = time.process_time() - start
        n = self.data.num_curve
        others = self.data.part(n, 2 * n)
        with self.average.in_model():
            entry["other_acc"] = self.evaluate(others).means()["val_acc"]


def run(
    options,
    seed,
    network=NETWORK,
    num_train=NUM_TRAIN,
    max_epochs=MAX_EPOCHS,
    num_curve=NUM_CURVE,
    num_val=10_000,
):
    """Train once; returns the curve, and the accuracy on `num_val` held-out images."""
    of_data = {"batch_size": BATCH_SIZE} | {
        k: v for k, v in options.items() if k in OF_DATA
    }
    of_trainer = {k: v for k, v in options.items() if k in OF_TRAINER}
    of_model = {k: v for k, v in options.items() if k not in {*of_data, *of_trainer}}
    model = d2l.create_model("densenet_bc_100_12", seed=seed, **network, **of_model)
    model.board.display = False
    data = Data(num_train=num_train, **of_data)
    data.num_curve = num_curve
    trainer = Trainer(max_epochs, seed=seed, **of_trainer)
    trainer.data = data
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        trainer.fit(model, data)
    threads = torch.get_num_threads()
    measured = ("epoch", "train_loss", "val_acc", "other_acc", "processor_seconds")

    def acc():
        return trainer.evaluate(data.part(0, num_val)).means()["val_acc"]

    result = {
        "acc": acc(),
        "history": [{key: entry[key] for key in measured} for entry in trainer.history],
        "machine": f"{threads} thread(s), "
        + "\n".join(printed.getvalue().splitlines()[-2:]),
    }
    if "dropout" in options:
        recalibrate(model, data)
        result["recalibrated"] = acc()
    return result


def recalibrate(model, data):
    """Make the statistics of normalization those of training images without dropout."""
    model.train()
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a mean over all that follows
        elif isinstance(layer, torch.nn.Dropout):
            layer.eval()
    with torch.no_grad():
        for X, _ in data.train_dataloader():
            model(X)


def runs():
    """(name, seed, arguments of `run`) of each run, the first seed of all rungs first."""
    for seed in SEEDS:
        for name, (options, _) in RUNGS.items():
            yield name, seed, {"options": options}
    for seed in SEEDS:
        for name, network in PAIR.items():
            network = network | {"in_channels": 1}
            yield name, seed, {"options": DECAY, "network": network, **PAIR_SIZES}


def kept(folder, name, seed, arguments):
    """The result of a run, from its file if it is there."""
    path = folder / f"{name.replace(' ', '_')}-{seed}.json"
    if not path.exists():
        result = run(seed=seed, **arguments)
        records.save(path.stem, result, folder)
        print(f"{name}, seed {seed}: {result['acc']:.4f}", flush=True)
    return json.loads(path.read_text(encoding="utf-8"))


def record(results):
    """What the chapter reads, of a dict of lists of results by name."""
    rungs = []
    for name, found in results.items():
        rung = {"name": name, "against": RUNGS.get(name, (None, None))[1]}
        if name in PAIR:
            rung["against"] = None if name == next(iter(PAIR)) else next(iter(PAIR))
        for key in {"acc", "recalibrated"} & found[0].keys():
            rung[key] = [result[key] for result in found]
        for key in found[0]["history"][0].keys() - {"epoch"}:
            rung[key] = [[entry[key] for entry in r["history"]] for r in found]
        rungs.append(rung)
    return {
        "printed": next(iter(results.values()))[0]["machine"],
        "network": NETWORK,
        "num_train": NUM_TRAIN,
        "max_epochs": MAX_EPOCHS,
        "pair": PAIR_SIZES,
        "rungs": rungs,
    }


def main(argv=None):
    """Run what is missing; write the record when everything is there."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ladder",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(argv)
    fast = "-fast" if provenance.fast_mode() else ""
    folder = Path(f"_build/bench/ladder{fast}")
    folder.mkdir(parents=True, exist_ok=True)
    results = {}
    for name, seed, arguments in runs():
        results.setdefault(name, []).append(kept(folder, name, seed, arguments))
    print("written:", records.save("ladder", record(results)))


if __name__ == "__main__":
    main()
