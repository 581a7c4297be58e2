"""Trains what the chapter on transfer compares: from scratch, or from pretrained features.

python -m benchmarks.transfer                         PyTorch, ten draws
python -m benchmarks.transfer --backend jax           another framework, two draws

A small DenseNet-BC learns seven classes of Fashion-MNIST, once, in PyTorch; its weights
and record go into the library as `transfer`. From these, each framework transfers to the
other three classes, with few examples. A draw is a choice of the examples, and the seed of
initial weights and of the order. The record is `transfer-BACKEND`. Runs that are done are
kept in `_build/bench`, so that an interrupted script resumes. In fast mode all of it is a
few steps, and goes into `_build/bench`.
"""

import argparse
import hashlib
import importlib
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.descents import descent
from d2lext.core.data import fashion_mnist, minibatches
from d2lext.core.densenet import registry
from d2lext.core.frameworks import FRAMEWORKS, IDS, TITLES
from d2lext.core.machine.processor import cpu_name
from d2lext.core.training import records
from d2lext.core.training.provenance import fast_mode, versions

NEW = [3, 4, 6]  # dress, coat, shirt
OLD = [label for label in range(10) if label not in NEW]
NAME = "densenet121"  # with its stem, but fewer and narrower layers:
OPTIONS = {"arch": (4, 4, 4), "growth_rate": 8, "num_channels": 16, "in_channels": 1}
HEAD = "classifier.weight", "classifier.bias"

PRETRAINING = {"batch_size": 64, "steps": 3000, "rate": 0.1}
SIZES = 10, 100, 1000  # examples of all three classes together
BATCH_SIZE, STEPS = 32, 200
RATE, SMALL_RATE = 0.1, 0.03  # chosen on validation images, from 0.03 and 0.1
HEAD_STEPS, HEAD_RATE = 500, 0.1  # of gradient descent on all examples
WAYS = "from scratch", "head alone", "head, then all", "all at once"
DRAWS = {"torch": 10, "mxnet": 2, "jax": 2, "tensorflow": 2}

BUILD = Path("_build/bench")


def images(classes, part):
    """The images (n, 1, 28, 28) of `classes`, and their places in it, from 0.

    `part` is "train", "val" or "test".
    """
    source = fashion_mnist.load()
    if part == "test":
        X, y = source.test_images, source.test_labels
    else:
        index = minibatches.split()[part == "val"]
        X, y = source.train_images[index], source.train_labels[index]
    keep = np.isin(y, classes)
    X = X[keep][:, None].astype(np.float32) / 255
    return X, np.searchsorted(classes, y[keep]).astype(np.int64)


def draw_examples(y, number, seed):
    """The places of `number` examples, as evenly from each class as possible."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    by_class = [order[y[order] == label] for label in rng.permutation(y.max() + 1)]
    each = -(-number // len(by_class))
    return np.stack([i[:each] for i in by_class], axis=1).ravel()[:number]


def train(step, X, y, rate, steps, seed, batch_size=BATCH_SIZE):
    """Take `steps` on batches drawn with replacement; the rate falls to 0 in a line."""
    rng = np.random.default_rng(seed)
    for t in range(steps):
        i = rng.integers(0, len(y), batch_size)
        step(X[i], y[i], rate * (1 - t / steps))


def train_head(features, y, W, b, steps=HEAD_STEPS, rate=HEAD_RATE):
    """The weights (classes, features) and biases of a head, by gradient descent."""
    targets = np.eye(len(b))[y]
    for _ in range(steps):
        logits = features @ W.T + b
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        delta = (exp / exp.sum(axis=1, keepdims=True) - targets) / len(y)
        W, b = W - rate * delta.T @ features, b - rate * delta.sum(axis=0)
    return W, b


def fit_head(features, y, num_classes):
    """The weights and biases of a head, learned on features that are normalized.

    Their scales differ by a factor of hundreds, and gradient descent would be slow. The
    head reads the features as they are: mean and deviation go into its weights.
    """
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 0.01
    W, b = np.zeros((num_classes, features.shape[1])), np.zeros(num_classes)
    W, b = train_head((features - mean) / deviation, y, W, b)
    W = W / deviation
    return W.astype(np.float32), (b - W @ mean).astype(np.float32)


def initial(num_classes, seed):
    """The initial weights of the network, by canonical name."""
    options = OPTIONS | {"num_classes": num_classes}
    return registry.initial_weights(NAME, seed, options)


def features_of(d2l, weights, X):
    """What the head reads, (n, features): the logits of a head that changes nothing."""
    number = weights[HEAD[0]].shape[1]
    model = d2l.create_model(NAME, **OPTIONS, num_classes=number)
    identity = dict(zip(HEAD, (np.eye(number), np.zeros(number)), strict=True))
    d2l.set_weights(model, weights | identity)
    return d2l.predict(model, X, batch_size=500)


def accuracy(logits, y):
    """The share of correct predictions."""
    return float((logits.argmax(axis=1) == y).mean())


def pretrain(d2l, steps):
    """A model that has learned the seven classes, and its validation accuracy."""
    model = d2l.create_model(NAME, **OPTIONS, num_classes=len(OLD))
    begin, step = descent("torch", model)
    begin(initial(len(OLD), seed=0))
    options = PRETRAINING | {"steps": steps}
    train(step, *images(OLD, "train"), seed=0, **options)
    X, y = images(OLD, "val")
    return model, accuracy(d2l.predict(model, X), y)


class Transfer:
    """The four ways from pretrained weights to three classes, in one framework."""

    def __init__(self, backend, pretrained, steps=STEPS):
        self.d2l = importlib.import_module(f"d2lext.{backend}")
        self.pretrained, self.steps = pretrained, steps
        self.X, self.y = images(NEW, "train")
        self.X_test, self.y_test = images(NEW, "test")
        self.model = self.d2l.create_model(NAME, **OPTIONS, num_classes=len(NEW))
        self.begin, self.step = descent(backend, self.model)
        # Once for all draws and sizes.
        self.features = features_of(self.d2l, pretrained, self.X)
        self.test_features = features_of(self.d2l, pretrained, self.X_test)

    def run(self, number, draw):
        """The test accuracy of each way with `number` examples."""
        i = draw_examples(self.y, number, draw)
        scratch = initial(len(NEW), draw)
        head = {name: scratch[name] for name in HEAD}
        W, b = fit_head(self.features[i], self.y[i], len(NEW))
        trained = {HEAD[0]: W, HEAD[1]: b}
        return {
            "from scratch": self.fit(scratch, i, RATE, draw),
            "head alone": accuracy(self.test_features @ W.T + b, self.y_test),
            "head, then all": self.fit(self.pretrained | trained, i, SMALL_RATE, draw),
            "all at once": self.fit(self.pretrained | head, i, RATE, draw),
        }

    def fit(self, weights, i, rate, seed):
        """The test accuracy after training all of the network from `weights`."""
        self.begin(weights)
        train(self.step, self.X[i], self.y[i], rate, self.steps, seed)
        logits = self.d2l.predict(self.model, self.X_test, batch_size=500)
        return accuracy(logits, self.y_test)


def weights_of(d2l, path):
    """The pretrained weights in the file at `path`, by canonical name."""
    model = d2l.create_model(NAME, **OPTIONS, num_classes=len(OLD))
    d2l.load_weights(model, path)
    return d2l.get_weights(model)


def write_pretrained(folder, steps):
    """Pretrain in PyTorch; write the weights and the record that leads to them."""
    from d2lext import torch as d2l

    start = time.perf_counter()
    model, val_acc = pretrain(d2l, steps)
    d2l.save_weights(model, folder / "transfer.safetensors")
    record = {
        "name": NAME,
        "options": OPTIONS | {"num_classes": len(OLD)},
        "classes": OLD,
        "new_classes": NEW,
        **PRETRAINING,
        "seed": 0,
        "val_acc": val_acc,
        "seconds": round(time.perf_counter() - start),
        "printed": f"{cpu_name()}; {versions('torch')}",
    }
    records.save("transfer", record, folder)


def compared(backend, folder, draws, steps=STEPS):
    """The record of all runs, of which those that are done are read from `BUILD`."""
    path = BUILD / f"{folder.name}-transfer-{backend}.json"
    weights = (folder / "transfer.safetensors").read_bytes()
    # What is kept belongs to these classes, rates and weights.
    setting = f"{steps} steps, {NEW}, rates {RATE} and {SMALL_RATE}, batches of "
    setting += f"{BATCH_SIZE}, weights {hashlib.sha256(weights).hexdigest()[:8]}"

    def key_of(number, draw):
        return f"{number} examples, draw {draw}, {setting}"

    done = json.loads(path.read_text()) if path.exists() else {}
    transfer, start = None, time.perf_counter()
    for draw in range(draws):
        for number in SIZES:
            key = key_of(number, draw)
            if key not in done:
                if transfer is None:
                    d2l = importlib.import_module(f"d2lext.{backend}")
                    pretrained = weights_of(d2l, folder / "transfer.safetensors")
                    transfer = Transfer(backend, pretrained, steps)
                done[key] = transfer.run(number, draw)
                records.save(path.stem, done, BUILD)
                print(f"{TITLES[backend]}, {key}: {done[key]}", flush=True)
    keys = {n: [key_of(n, draw) for draw in range(draws)] for n in SIZES}
    return {
        "backend": backend,
        "draws": draws,
        "sizes": list(SIZES),
        "steps": steps,
        "batch_size": BATCH_SIZE,
        "rate": RATE,
        "small_rate": SMALL_RATE,
        "test_acc": {
            way: {str(n): [done[key][way] for key in keys[n]] for n in SIZES}
            for way in WAYS
        },
        "seconds": round(time.perf_counter() - start),
        "printed": f"{cpu_name()}; {versions(*FRAMEWORKS[backend].modules)}",
    }


def main(argv=None):
    """Pretrain, unless the library has the weights; compare; write the records."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.transfer",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--backend", choices=IDS, default="torch")
    parser.add_argument("--draws", type=int, help="2, and in PyTorch 10")
    parser.add_argument("--folder", type=Path, help="for the records; the library's")
    args = parser.parse_args(argv)
    draws = args.draws or DRAWS[args.backend]
    folder, steps = args.folder or records.FOLDER, STEPS
    pretraining_steps = PRETRAINING["steps"]
    if fast_mode():
        folder, draws, steps, pretraining_steps = BUILD / "fast", 1, 2, 2
    folder.mkdir(parents=True, exist_ok=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    if not (folder / "transfer.json").exists():
        write_pretrained(folder, pretraining_steps)
    record = compared(args.backend, folder, draws, steps)
    print("written:", records.save(f"transfer-{args.backend}", record, folder))


if __name__ == "__main__":
    main()
