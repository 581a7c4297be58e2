"""Minibatches: what is held out, their order, and the thread that reads ahead."""

import threading
import time

import numpy as np
import pytest

from d2lext.core.data import minibatches

IMAGES = np.random.default_rng(0).integers(256, size=(60, 28, 28), dtype=np.uint8)


def test_split_is_a_partition():
    train, val = minibatches.split()
    assert (len(train), len(val)) == (50_000, 10_000)
    assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(60_000))
    assert not np.array_equal(train, np.sort(train))


def test_split_never_changes():
    # Not an oracle: a model trained before a change would have seen what is held out.
    assert minibatches.split()[1][:5].tolist() == [54264, 12078, 10290, 19600, 1160]


def test_split_takes_the_first_ones():
    (train, val), (some, few) = (
        minibatches.split(),
        minibatches.split(num_train=640, num_val=1),
    )
    assert np.array_equal(some, train[:640])
    assert np.array_equal(few, val[:1])


@pytest.mark.parametrize(
    ("numbers", "rule"),
    [
        ({"num_train": 50_001}, "num_train must be <= 50000, got 50001: .*None"),
        ({"num_val": 10_001}, "num_val must be <= 10000, got 10001: .*None"),
        ({"num_train": 0}, "num_train must be an integer >= 1, got 0"),
    ],
)
def test_split_of_too_many_or_none(numbers, rule):
    with pytest.raises(ValueError, match=rule):
        minibatches.split(**numbers)


def make_batches(num=60, batch_size=16, shuffle=True, seed=0, convert=None):
    # The label is the index, so a batch tells which images it holds.
    images = np.resize(IMAGES, (num, 28, 28))
    convert = convert or (lambda X, y: (X, y))
    return minibatches.Batches(
        images, np.arange(num), batch_size, shuffle, seed, convert
    )


def epoch(batches):
    return np.concatenate([y for _, y in batches]).tolist()


@pytest.mark.parametrize("num", [1, 16, 48, 60])
def test_batches_hold_every_image_once(num):
    batches = make_batches(num)
    sizes = [len(y) for _, y in batches]
    assert len(batches) == len(sizes) == -(-num // 16)
    assert sizes == [16] * (num // 16) + [num % 16] * (num % 16 > 0)
    assert sorted(epoch(batches)) == list(range(num))
    assert batches.num_examples == num


def test_batches_in_order():
    assert epoch(make_batches(shuffle=False)) == list(range(60))


def test_batches_order_is_that_of_seed_and_epoch():
    batches = make_batches(seed=3)
    for e in range(2):
        generator = np.random.Generator(np.random.PCG64([3, e]))
        assert epoch(batches) == generator.permutation(60).tolist()
    assert epoch(make_batches(seed=4)) != epoch(make_batches(seed=3))


def test_batches_are_bytes_with_a_channel():
    X, y = next(iter(make_batches(shuffle=False)))
    assert X.shape == (16, 1, 28, 28)
    assert X.dtype == np.uint8
    assert y.dtype == np.int64
    assert np.array_equal(X[:, 0], IMAGES[:16])


def test_batches_of_a_backend():
    threads = set()

    def convert(X, y):
        threads.add(threading.current_thread())
        return X.tolist(), len(y)

    assert [n for _, n in make_batches(convert=convert)] == [16, 16, 16, 12]
    assert threads == {threading.current_thread()}  # not all frameworks share tensors


class Watched:
    """Images that tell of each reading: in `threads`, the thread that read."""

    def __init__(self):
        self.threads = []

    def __getitem__(self, index):
        self.threads.append(threading.current_thread())
        return IMAGES[index]


def test_next_batch_is_read_while_one_is_used():
    batches = make_batches()
    batches.images = Watched()
    iterator = iter(batches)
    next(iterator)
    deadline = time.perf_counter() + 5
    while len(batches.images.threads) < 2 and time.perf_counter() < deadline:
        time.sleep(0.01)
    assert len(batches.images.threads) == 2
    assert threading.current_thread() not in batches.images.threads


def test_batches_of_a_device():
    """They are gathered there, in the same order, without a thread."""
    expected = make_batches(seed=3)
    threads = set()

    def gather(array, indices):
        threads.add(threading.current_thread())
        return [array[i] for i in indices] if array is labels else array[indices]

    labels = list(range(60))
    batches = minibatches.Batches(
        IMAGES, labels, 16, True, 3, lambda X, y: (X, y), gather
    )
    for (X, y), (X_there, y_there) in zip(expected, batches, strict=True):
        assert np.array_equal(X, X_there)
        assert y.tolist() == y_there
    assert threads == {threading.current_thread()}


def num_workers():
    return sum(thread.name.startswith("batches") for thread in threading.enumerate())


def test_iteration_that_stops_early_leaves_no_thread():
    batches = make_batches()
    next(iter(batches))
    for _ in batches:
        break
    iterator = iter(batches)
    next(iterator)
    assert num_workers() == 1
    iterator.close()
    iter(batches)
    assert num_workers() == 0


def test_exceptions_reach_the_caller():
    class NoRoom:
        def __getitem__(self, index):
            raise MemoryError("no room for the batch")

    batches = make_batches()
    batches.images = NoRoom()
    with pytest.raises(MemoryError, match="no room"):
        next(iter(batches))
    assert num_workers() == 0


def test_batches_of_nothing():
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1, got 0"):
        make_batches(batch_size=0)
