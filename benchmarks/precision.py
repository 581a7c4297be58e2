"""Does bfloat16 cost accuracy? The same training runs in bf16 and fp32, on three seeds.

The book's network trains on some of the training images, and is validated on the
chapter's. The page shows how far apart the two precisions are, and how far the seeds.
"""

import importlib
import statistics

from benchmarks.page import table
from d2lext.core.frameworks import TITLES
from d2lext.core.training import provenance

SEEDS, PRECISIONS = (0, 1, 2), ("fp32", "bf16")


def train(backend, seed, precision, num_train, epochs):
    """The last epoch's entry in the history of one training run."""
    d2l = importlib.import_module(f"d2lext.{backend}")
    data = d2l.FashionMNIST(batch_size=128, resize=(64, 64), num_train=num_train)
    model = d2l.DenseNet(lr=0.05)
    trainer = d2l.Trainer(max_epochs=epochs, seed=seed, precision=precision)
    trainer.fit(model, data)
    return trainer.history[-1]


def summarise(accuracies):
    """Mean and range for each precision, and the mean difference between them.

    `accuracies` holds a list for each precision, in the order of the seeds.
    """
    fp32, bf16 = (accuracies[precision] for precision in PRECISIONS)
    pairs = [b - a for a, b in zip(fp32, bf16, strict=True)]
    return {
        **{
            name: {"mean": statistics.mean(v), "range": max(v) - min(v)}
            for name, v in accuracies.items()
        },
        "bf16 minus fp32": statistics.mean(pairs),
    }


def run(backends, machine, quick=False):
    """Train in each framework; with `quick` one short epoch."""
    num_train, epochs = (640, 1) if quick else (6_400, 3)
    frameworks = {}
    for backend in backends:
        accuracies = {
            precision: [
                train(backend, seed, precision, num_train, epochs)["val_acc"]
                for seed in SEEDS
            ]
            for precision in PRECISIONS
        }
        frameworks[backend] = {"all": accuracies, **summarise(accuracies)}
    return {
        "machine": machine,
        "num_train": num_train,
        "epochs": epochs,
        "frameworks": frameworks,
        "versions": provenance.versions(*frameworks),
    }


def markdown(result):
    """The result as a page of Markdown."""
    rows = [["", "fp32: mean (range)", "bf16: mean (range)", "bf16 - fp32"]]
    for backend, framework in result["frameworks"].items():
        cells = [
            f"{framework[name]['mean']:.3f} ({framework[name]['range']:.3f})"
            for name in PRECISIONS
        ]
        rows.append([TITLES[backend], *cells, f"{framework['bf16 minus fp32']:+.3f}"])
    images = f"{result['num_train']:,} images of 64x64 pixels"
    about = (
        f"Validation accuracy after {result['epochs']} epochs of {images}, seeds "
        f"{', '.join(map(str, SEEDS))}; {result['machine']['cpu']}; {result['versions']}"
    )
    return "\n\n".join(["# Accuracy by precision", about, table(rows)]) + "\n"
