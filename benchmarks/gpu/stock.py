"""d2l's ten epochs, in a process that loads nothing of ours."""

import importlib
import time


def stock(tell, backend, quick, data, seconds):
    """Train as d2l does on the images in the file `data`, for about `seconds` at most.

    An epoch that the time does not suffice for is told with the steps that it had.
    """
    import numpy as np

    until = time.monotonic() + seconds
    module = importlib.import_module(f"benchmarks.stock.{backend}")
    with np.load(data) as file:
        images, labels = file["images"], file["labels"]
    options, num_epochs = ({}, 10)
    if quick:
        images, labels = images[:64], labels[:64]
        options, num_epochs = {"batch_size": 16, "resize": (32, 32)}, 2
    side = module.start(images, labels, **options)
    steps = -(-len(labels) // options.get("batch_size", 128))
    epochs = []
    for _ in range(num_epochs):
        begin = time.perf_counter()
        batches, count = side.batches(), 0
        for batch in batches:
            side.step(batch)
            count += 1
            if time.monotonic() > until:
                break
        side.wait()
        epochs.append({"train_seconds": time.perf_counter() - begin, "steps": count})
        tell(epochs=epochs, steps=steps)
        if time.monotonic() > until:
            break
    tell(num_params=module.num_params(side))
