"""Does bfloat16 cost accuracy? The same trainings in bf16 and fp32, on three seeds.

The book's network on a part of the training images; the validation images are those of
the chapter. It says how far the two precisions lie apart, and how far the seeds do.
"""

import argparse
import importlib
import json
import statistics
import sys
from pathlib import Path

from d2lext.book.backends import IDS, TITLES
from d2lext.core import machine, provenance

SEEDS, PRECISIONS = (0, 1, 2), ("fp32", "bf16")


def train(backend, seed, precision, num_train, epochs):
    """The last epoch's entry in the history of one training."""
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


def markdown(result):
    """The result as a table."""
    rows = ["| | fp32: mean (range) | bf16: mean (range) | bf16 - fp32 |"]
    rows.append("|---" * 4 + "|")
    for backend, found in result["frameworks"].items():
        cells = [
            f"{found[name]['mean']:.3f} ({found[name]['range']:.3f})"
            for name in PRECISIONS
        ]
        difference = f"{found['bf16 minus fp32']:+.3f}"
        rows.append(f"| {' | '.join([TITLES[backend], *cells, difference])} |")
    images = f"{result['num_train']:,} images of 64x64 pixels"
    about = (
        f"Validation accuracy after {result['epochs']} epochs of {images}, seeds "
        f"{', '.join(map(str, SEEDS))}; {result['machine']}; {result['versions']}"
    )
    return "\n".join(["# Accuracy by precision", "", about, "", *rows])


def main(argv=None):
    """Train, print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="precision", description=__doc__)
    parser.add_argument("--backend", action="append", choices=IDS)
    parser.add_argument("--quick", action="store_true", help="one short epoch")
    parser.add_argument("--json", type=Path, metavar="PATH")
    args = parser.parse_args(argv)
    num_train, epochs = (640, 1) if args.quick else (6_400, 3)
    result = {
        "machine": machine.cpu_name(),
        "num_train": num_train,
        "epochs": epochs,
        "frameworks": {},
    }
    # MXNet has fp32 alone.
    for backend in args.backend or [name for name in IDS if name != "mxnet"]:
        accuracies = {
            precision: [
                train(backend, seed, precision, num_train, epochs)["val_acc"]
                for seed in SEEDS
            ]
            for precision in PRECISIONS
        }
        result["frameworks"][backend] = {"all": accuracies, **summarise(accuracies)}
    result["versions"] = provenance.versions(*result["frameworks"])
    print(markdown(result))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
