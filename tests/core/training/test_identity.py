"""A checkpoint knows its training: its data, its options and where it began."""

import collections
import functools
import io
import random
import re
import textwrap
import types
from pathlib import Path

import numpy as np
import pytest
from shared.checkpoints import CrashError, assert_same_training, at, crash, ctrl_c
from shared.numpy_trainer import NUM_STEPS, Data, Model, fit

from d2lext.core.training import checkpoint

pytestmark = pytest.mark.usefixtures("whole_runs", "interruptible")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "one.npz"


def refusal(path, **options):
    """What a second training says that must not go on from the first one's checkpoint."""
    content = path.read_bytes()
    with pytest.raises(ValueError, match="must be of the same") as caught:
        fit(checkpoint=path, **options)
    assert path.read_bytes() == content
    said = str(caught.value)
    kept = checkpoint.before(path)
    files = f"{path} and {kept}" if kept.exists() else str(path)
    assert said.endswith(f"name another file, or delete {files} to begin afresh")
    return said


# The data.


class Held(Data):
    """Data with something more in it, which no batch shows."""

    def __init__(self, held):
        super().__init__()
        self.held = held


class Source:
    """An object whose repr says nothing of what is in it."""

    def __init__(self, inside):
        self.inside = inside

    def __repr__(self):
        return "Source(...)"


class Slots:
    __slots__ = ("inside",)

    def __init__(self, inside):
        self.inside = inside


def images(changed=False):
    """Many: the repr of such an array shows a few of the first and the last."""
    array = np.zeros((6000, 4, 4), np.uint8)
    array[5000, 2, 2] = changed
    return array


def labels(changed=False):
    return [*range(5000), int(changed), *range(5000)]


def containing_itself(changed):
    source = Source([images(changed)])
    source.inside.append(source)
    return source


HOLDERS = {
    "array": images,
    "not-contiguous": lambda changed: images(changed).transpose(2, 1, 0),
    "objects": lambda changed: np.array([Source(images(changed))]),
    "list": labels,
    "list-of-pairs": lambda changed: [(f"{i}.png", i) for i in labels(changed)],
    "list-of-arrays": lambda changed: list(images(changed)),
    "dict": lambda changed: {"a": {"b": images(changed)}},
    "set": lambda changed: {*"abcdef", "changed" if changed else "same"},
    "object": lambda changed: Source(images(changed)),
    "object-in-object": lambda changed: Source({"a": (Source(images(changed)),)}),
    "slots": lambda changed: Slots(images(changed)),
    "namespace": lambda changed: types.SimpleNamespace(a=images(changed)),
    "itself": containing_itself,
    "method": lambda changed: Source(images(changed)).__repr__,
    "closure": lambda changed: (lambda array: lambda: array)(images(changed)),
    "lambda": lambda changed: (lambda x: x + 1) if changed else (lambda x: x - 1),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_whatever_data_hold(path, holder):
    with pytest.raises(CrashError):
        fit(
            checkpoint=path,
            data=Held(holder(False)),
            before_step=at(NUM_STEPS, crash),
        )
    said = refusal(path, data=Held(holder(True)))
    assert "got other data than now (held)" in said
    trainer, _ = fit(checkpoint=path, data=Held(holder(False)))
    assert_same_training(trainer, fit()[0])


def test_labels_alone_and_an_index_alone(path):
    class Indexed(Data):
        def __init__(self, first=0):
            super().__init__()
            self.index = np.arange(first, 40)

        def get_dataloader(self, train):
            part = self.index[:20] if train else self.index[20:]
            return self.get_tensorloader((self.X, self.y), train, part)

    data = Indexed()
    fit(checkpoint=path, data=data, max_epochs=1)
    said = refusal(path, data=Indexed(first=1))
    assert "(index, train_dataloader, val_dataloader)" in said
    data.y = data.y.copy()
    data.y[39] += 1
    assert "(train_dataloader, val_dataloader, y)" in refusal(path, data=data)


def test_data_made_on_the_fly(path):
    """Nothing holds them, but the first batch is the same in each process, or not."""

    factor = 1

    class Made(Data):
        def __init__(self, draw=lambda: 1):
            super().__init__()
            self.draw = draw

        def get_dataloader(self, train):
            X = np.ones((8, 3)) * factor * self.draw()
            return iter([(X, X.sum(1))])

    fit(checkpoint=path, data=Made(), max_epochs=1)
    factor = 2
    assert "(first batch)" in refusal(path, data=Made())
    factor = 1
    fit(checkpoint=path, data=Made(), max_epochs=2)
    # Where each batch is another one, nothing is known.
    path = path.with_name("two.npz")
    fit(checkpoint=path, data=Made(random.random), max_epochs=1)
    fit(checkpoint=path, data=Made(random.random), max_epochs=2)


def test_what_says_nothing_of_the_data(path):
    """Counters, places, sources of random numbers, locks: they do not stop a run."""

    class Counted(Data):
        calls, rng = 0, random.Random(0)

        def __init__(self):
            super().__init__()
            self.generator = np.random.default_rng(random.randrange(99))
            self.lines = iter(range(9))

        def get_dataloader(self, train):
            self.calls += 1
            self.device = object()
            return super().get_dataloader(train)

    data = Counted()
    with pytest.raises(CrashError):
        fit(checkpoint=path, data=data, before_step=at(NUM_STEPS, crash))
    trainer, _ = fit(checkpoint=path, data=data)
    assert_same_training(trainer, fit()[0])


class Read:
    """Examples that are read by number, and what reading leaves behind."""

    def __init__(self, data, threshold=0.5):
        self.X, self.y, self.threshold = data.X, data.y, threshold
        self.by_number, self.in_order = {}, [None] * len(data.y)
        self.count, self.file, self.newest = 0, None, collections.OrderedDict()

    def __getitem__(self, i):
        self.file = self.file or io.StringIO()
        self.count += 1
        self.by_number[i] = self.in_order[i] = self.newest[i] = self.X[i], self.y[i]
        if len(self.newest) > 3:
            self.newest.popitem(last=False)
        return self.row(i)

    @functools.lru_cache  # noqa: B019 as readers do it
    def row(self, i):
        return self.X[i], self.y[i] * self.scale

    @functools.cached_property
    def scale(self):
        return self.threshold * 2


class ReadInTurn(Data):
    """With such an object for each of the two sets, whose loaders make the batches."""

    def __init__(self, made=Read, first=0):
        super().__init__()
        self.sets, self.order = {"a": [made(self), made(self)]}, np.arange(first, 16)

    def get_dataloader(self, train):
        read, order = self.sets["a"][train], self.order

        class Loader:
            def __iter__(self):
                for i in range(0, len(order), 8):
                    rows = [read[j] for j in order[i : i + 8]]
                    yield tuple(map(np.array, zip(*rows, strict=True)))

        return Loader()


def test_what_reading_leaves_behind(path, capsys):
    """Data that cache, count and open files may be fitted again, and in a new process."""
    data, whole = ReadInTurn(), fit(data=ReadInTurn())[0]
    with pytest.raises(KeyboardInterrupt):  # before the validation set is read
        fit(checkpoint=path, data=data, before_step=at(1, ctrl_c))
    with pytest.raises(CrashError):
        fit(checkpoint=path, data=data, before_step=at(4, crash))
    assert_same_training(fit(checkpoint=path, data=ReadInTurn())[0], whole)
    assert_same_training(fit(checkpoint=path, data=data)[0], whole)
    # Another training that begins with a full cache, and one after a restart.
    path = path.with_name("two.npz")
    with pytest.raises(CrashError):
        fit(checkpoint=path, data=data, before_step=at(2, crash))
    assert_same_training(fit(checkpoint=path, data=ReadInTurn())[0], whole)
    said = refusal(path, data=ReadInTurn(first=1))
    assert "got other data than now (order)" in said


def test_what_reading_leaves_behind_in_another_class_of_the_same_name(path):
    """A notebook's cell that counts, and one that does not, as both have a `count`."""
    begin = (
        "def __init__(self, count=0):\n    super().__init__()\n    self.count = count\n"
    )
    count = "    self.count += 1\n    return super().get_dataloader(train)\n"
    counting = f"{begin}def get_dataloader(self, train):\n{count}"
    fit(checkpoint=path, data=other(counting, Data)(), max_epochs=1)
    path = path.with_name("two.npz")
    fit(checkpoint=path, data=other(begin, Data)(), max_epochs=1)
    said = refusal(path, data=other(begin, Data)(1))
    assert "got other data than now (count)" in said


def test_a_number_within_the_data(path):
    fit(checkpoint=path, data=ReadInTurn(), max_epochs=1)
    other = ReadInTurn(functools.partial(Read, threshold=0.25))
    assert "got other data than now (sets)" in refusal(path, data=other)
    path = path.with_name("two.npz")
    fit(checkpoint=path, data=Held(0.5), max_epochs=1)
    assert "got other data than now (held)" in refusal(path, data=Held(0.25))


# The code.


def other(code, base=Model, name="Net"):
    """A class of one name, defined by what a notebook's cell has."""
    names = {"Base": base, "__name__": "__main__"}
    exec(f"class {name}(Base):\n{textwrap.indent(code, '    ')}", names)
    return names[name]


CODE = """
width = 3
def __init__(self, scale=1):
    super().__init__()
def loss(self, y_hat, y):
    def squared(x):
        return x**2
    return squared(y_hat - y).mean()
@property
def size(self):
    return 1
@staticmethod
def units():
    return [x for x in "ab" if x in {"a", "b"}]
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y_hat - y", "y_hat + y"),
        ("x**2", "x**4"),
        (".mean()", ".sum()"),
        ("width = 3", "width = 4"),
        ("scale=1", "scale=2"),
        ("return 1", "return 2"),
        ('{"a", "b"}', '{"a", "c"}'),
        ("def size", "def more"),
    ],
)
def test_another_class_of_the_same_name(path, before, after):
    fit(checkpoint=path, model=other(CODE)(), max_epochs=1)
    said = refusal(path, model=other(CODE.replace(before, after))())
    assert "got other code than now (Net): " in said
    words = CODE.replace("y):\n", 'y):\n    """The loss."""\n')
    words = words.replace("x**2", "x ** 2  # squared").replace("@p", "\n# How many\n@p")
    fit(checkpoint=path, model=other(words)())


def test_other_code_of_an_object_in_the_data(path):
    read = "def __getitem__(self, i):\n    return self.row(i)"
    make = [other(r, Read) for r in (read, read.replace("(i)", "(i)[::1]"))]
    fit(checkpoint=path, data=ReadInTurn(make[0]), max_epochs=1)
    assert "other code than now (Net): " in refusal(path, data=ReadInTurn(make[1]))


# The options.


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (images(), images(True)),
        (Source(1), Source(2)),
        (Slots(1), Slots(2)),
        ([Source(images())], [Source(images(True))]),
        (lambda x: x + 1, lambda x: x - 1),
        (np.tanh, np.sin),
        (re.compile("a"), re.compile("b")),
    ],
)
def test_options_whose_repr_abridges(path, first, second):
    fit(checkpoint=path, model=Model(loss=first), max_epochs=1)
    said = refusal(path, model=Model(loss=second))
    assert re.search(
        r"got model.loss = .* (of other content|where it is .* now): ", said
    )


def test_an_option_of_the_model_called_like_one_of_the_trainer(path):
    models = Model(), Model()
    models[0].hparams["seed"], models[1].hparams["seed"] = 5, 6
    fit(checkpoint=path, model=models[0], max_epochs=1)
    assert "model.seed = 5 where it is 6 now" in refusal(path, model=models[1])


def test_what_changes_no_result(path):
    """Comments, docstrings and where something is defined; NumPy's numbers."""

    def loss(x):
        return 2 * x

    first = loss

    # Further down.
    def loss(x):
        """The same."""
        return 2 * x  # twice

    fit(checkpoint=path, model=Model(lr=0.25, loss=first), max_epochs=1)
    fit(checkpoint=path, model=Model(lr=np.float64(0.25), loss=loss))


# The weights.


def started(*weights):
    model = Model()
    model.w[:] = weights
    return model


def test_another_beginning(path):
    fit(checkpoint=path, model=started(1, 2, 3), max_epochs=1)
    said = refusal(path, model=started(1, 2, 4))
    assert "got other initial weights than now" in said
    assert "Trainer(resume=True)" in said


def test_weights_that_are_random_in_each_process(path):
    whole, _ = fit(model=started(1, 2, 3))
    with pytest.raises(CrashError):
        fit(
            checkpoint=path,
            model=started(1, 2, 3),
            before_step=at(NUM_STEPS, crash),
            resume=True,  # there is nothing yet
        )
    trainer, _ = fit(checkpoint=path, model=started(4, 5, 6), resume=True)
    assert_same_training(trainer, whole)
    with pytest.raises(ValueError, match="seed = 0 where it is 1"):
        fit(checkpoint=path, model=started(4, 5, 6), resume=True, seed=1)


@pytest.mark.parametrize("stop", [ctrl_c, crash])
def test_the_same_cell_again(path, stop):
    """The model is where the checkpoint is, or beyond it."""
    model = started(1, 2, 3)
    with pytest.raises((KeyboardInterrupt, CrashError)):
        fit(checkpoint=path, model=model, before_step=at(NUM_STEPS + 2, stop))
    trainer, _ = fit(checkpoint=path, model=model)
    assert_same_training(trainer, fit(model=started(1, 2, 3))[0])
    fit(checkpoint=path, model=model, before_step=lambda i: crash())
    # Not if it was changed in between.
    model.w[:] = 0
    assert "other initial weights" in refusal(path, model=model)


def test_weights_taken_from_the_checkpoint(path):
    """A new model may begin with them."""
    _, model = fit(checkpoint=path, max_epochs=1)
    trainer, _ = fit(checkpoint=path, model=started(*model.w))
    assert_same_training(trainer, fit()[0])


# The file.


def test_a_checkpoint_of_an_earlier_version(path):
    """It had no fingerprints."""
    fit(checkpoint=path, max_epochs=1)
    record, arrays = checkpoint.load(path)
    record["training"] = {"lr": "0.01", "seed": "0"}
    checkpoint.save(path, record, arrays)
    with pytest.raises(
        ValueError, match="an earlier version of d2lext: finish it with"
    ):
        fit(checkpoint=path)


def test_home(path, monkeypatch):
    monkeypatch.setenv("HOME", str(path.parent))
    fit(checkpoint="~/one.npz", max_epochs=1)
    assert path.exists()
    assert not Path("~").exists()
