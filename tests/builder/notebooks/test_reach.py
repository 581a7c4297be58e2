"""What a notebook's hash depends on: the definitions that its code reaches, no others."""

import re
import shutil

import pytest

from builder.notebooks.reach import Reach
from builder.notebooks.stale import code_hash
from builder.source.book import Book
from builder.source.definitions import Definition
from d2lext.core.frameworks import IDS

CORE = {
    "__init__.py": '__version__ = "1.0"\n',
    "core/__init__.py": "",
    "core/loop.py": '''\
"""A loop."""

from dataclasses import dataclass

from d2lext.core import steps
from d2lext.core.steps import half as part

LIMIT = 3


@dataclass
class Options:
    rate: float
    steps = 1


class Loop:
    """The loop."""

    def fit(self, data, limit=LIMIT):
        """Fit it."""
        part(Options(0.1).rate)
        return [self.step(x) for x in data][:limit]

    def step(self, x):
        return steps.double(x)


class Board:
    def draw(self):
        return self.steps

    def step(self):
        return 0
''',
    "core/steps.py": '''\
"""Steps."""

SCALE = 2
OFFSET = 1
_table = {}


def double(x):
    half = x  # a variable, not the function
    return triple(half) - sum(unused for unused in [1])


def triple(x):
    from d2lext.core.deep import deepest as deep

    return deep(x) * SCALE


def half(x, OFFSET=0):
    return x + OFFSET


def unused(x):
    return x


def enter(function):
    _table[function.__name__] = function
    return function
''',
    "core/deep.py": '''\
"""Deep."""

from d2lext.core.steps import enter


def deepest(x):
    global _count
    _count = 1
    return x


@enter
def entered(x):
    return x
''',
}
BACKEND = {
    "__init__.py": """\
from d2lext.{b} import loading  # noqa: F401

# isort: split
from d2lext.{b} import blocks, trainer
from d2lext.{b}.blocks import *  # noqa: F403
from d2lext.{b}.trainer import *  # noqa: F403
from d2lext.core.names.exports import EXPORTED, lookup

__all__ = [*blocks.__all__, *trainer.__all__, *EXPORTED]


def __getattr__(name):
    return lookup(__name__, name)
""",
    "loading.py": 'import os\n\nos.environ["THREADS"] = "1"\n',
    "blocks.py": """\
__all__ = ["Block", "predict"]


class Block:
    def forward(self, X):
        return X


def predict(X):
    return X
""",
    "trainer.py": """\
from d2lext.core.loop import Loop
from d2lext.{b}.speed import faster

__all__ = ["Trainer"]


class Trainer(Loop):
    def step(self, x):
        return faster.faster(super().step(x))
""",
    "speed/__init__.py": "",
    "speed/faster.py": "def faster(x):\n    return x\n",
    "models.py": """\
from d2lext import {b} as d2l


def create_model(name):
    return d2l.DenseNet(name)
""",
    "densenet.py": """\
from d2lext import {b} as d2l


class DenseNet(d2l.Block):
    def forward(self, X):
        return X + 1
""",
}
PAIR = """\
from d2lext.core.steps import half as first
from d2lext.core.twin import half as second


def use():
    return first, second, first(1)
"""
BOTH = {"torch", "jax"}


class Small:
    """A library of a few lines, and a notebook that uses it."""

    backends = ("torch", "jax")
    cells = (
        "from d2lext import {b} as d2l",
        "net = d2l.DenseNet()\nd2l.Trainer().fit([1])",
    )

    def __init__(self, root):
        self.root = root / "d2lext"
        for file, text in CORE.items():
            self.write(file, text)
        for backend in self.backends:
            for file, text in BACKEND.items():
                self.write(f"{backend}/{file}", text.replace("{b}", backend))

    def write(self, file, text):
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(text, encoding="utf-8")

    def edit(self, file, old, new):
        text = (self.root / file).read_text()
        assert old in text
        self.write(file, text.replace(old, new))

    def hashes(self, *cells):
        """By framework; of the notebook, or of other `cells`."""
        cells = cells or self.cells
        return {
            b: code_hash(
                self.root.parent, b, [cell.replace("{b}", b) for cell in cells]
            )
            for b in self.backends
        }

    def changed(self, before, *cells):
        after = self.hashes(*cells)
        return {backend for backend in before if before[backend] != after[backend]}


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("core/loop.py", "part", "piece"),  # an alias
        ("core/loop.py", '"""Fit it."""', '"""Fit the data."""'),
        ("core/loop.py", '"""A loop."""', "# A loop."),
        ("core/loop.py", "[:limit]", "[\n            :limit\n        ]"),
        ("core/loop.py", "return 0", "return 1"),  # a method of another class
        ("core/loop.py", "self.steps", "steps.unused(1)"),
        ("core/loop.py", "limit=LIMIT)", "limit: int = LIMIT) -> list[int]"),
        ("core/loop.py", "rate: float", "rate: int"),
        ("core/loop.py", "LIMIT = 3", "LIMIT: int = 3"),
        ("core/loop.py", "LIMIT = 3", "if TYPE_CHECKING:\n    import os\nLIMIT = 3"),
        ("core/steps.py", "half = x", "half: float = x"),
        ("core/steps.py", "SCALE = 2", '"""Steps, two."""\nimport json\nSCALE = 2'),
        ("core/steps.py", "OFFSET = 1", "OFFSET = 2"),  # a parameter has its name
        ("core/steps.py", "def unused(x):\n    return x", "def other(): pass"),
        ("torch/blocks.py", "def predict(X):\n    return X", "predict = 1"),
        ("torch/models.py", "DenseNet(name)", "DenseNet()"),
    ],
)
def test_what_is_not_reached_costs_nothing(small, file, old, new):
    before = small.hashes()
    small.edit(file, old, new)
    assert small.changed(before) == set()


def test_moves_cost_nothing(small):
    before = small.hashes()
    small.edit("core/steps.py", "from d2lext.core.deep import deepest as deep", "pass")
    small.edit("core/steps.py", "    pass\n", "    import d2lext.core.deep as lower\n")
    small.edit("core/steps.py", "deep(x)", "lower.deepest(x)")
    assert small.changed(before) == set()
    text = (small.root / "core/steps.py").read_text()
    triple = re.search(r"def triple.*?SCALE\n", text, re.DOTALL)[0]
    small.edit("core/steps.py", triple, "")
    small.edit("core/steps.py", "SCALE = 2", "from d2lext.core.new.three import triple")
    small.write("core/new/__init__.py", "")
    small.write("core/new/three.py", f"SCALE = 2\n\n\n{triple}")
    assert small.changed(before) == set()
    (small.root / "core/steps.py").rename(small.root / "core/pace.py")
    small.edit("core/deep.py", "core.steps", "core.pace")
    small.edit("core/loop.py", "core.steps", "core.pace")
    small.edit("core/loop.py", "core import steps", "core import pace as steps")
    assert small.changed(before) == set()
    for backend in small.backends:
        (small.root / backend / "speed").rename(small.root / backend / "quick")
        small.edit(f"{backend}/trainer.py", ".speed", ".quick")
        small.edit(
            f"{backend}/__init__.py", "trainer import *", "trainer import Trainer"
        )
    assert small.changed(before) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "stale"),
    [
        ("core/deep.py", "_count = 1\n    return x", "_count = 1\n    return -x", BOTH),
        (
            "core/deep.py",
            "entered(x):\n    return x",
            "entered(x):\n    return -x",
            BOTH,
        ),
        ("core/loop.py", "self.step(x)", "self.step(-x)", BOTH),  # of a base class
        ("core/loop.py", "limit=LIMIT", "limit=2", BOTH),
        ("core/loop.py", "LIMIT = 3", "LIMIT = 4", BOTH),
        ("core/loop.py", "rate: float", "rate: float = 1", BOTH),
        ("core/loop.py", "steps = 1", "steps: int = 1", BOTH),  # becomes a field
        ("core/loop.py", "@dataclass\n", "", BOTH),
        ("core/steps.py", "SCALE = 2", "SCALE = 3", BOTH),
        ("core/steps.py", "x + OFFSET", "x - OFFSET", BOTH),
        ("core/steps.py", "SCALE = 2", "import json\nSCALE = 2\njson.x = 1", BOTH),
        ("core/steps.py", "def half", "def halve", BOTH),
        ("torch/loading.py", '"1"', '"2"', {"torch"}),
        ("torch/speed/faster.py", "return x", "return -x", {"torch"}),
        ("jax/densenet.py", "X + 1", "X + 2", {"jax"}),
        (
            "jax/blocks.py",
            "def forward(self, X):",
            "def forward(self, X, y=0):",
            {"jax"},
        ),
        ("jax/trainer.py", "super().step(x)", "x", {"jax"}),
    ],
)
def test_what_is_reached_makes_stale(small, file, old, new, stale):
    before = small.hashes()
    small.edit(file, old, new)
    assert small.changed(before) == stale


def test_one_name_for_two_definitions(small):
    small.write("core/twin.py", "def half(x):\n    return x\n")
    small.write("core/pair.py", PAIR)
    cell = "from d2lext.core.pair import use"
    before = small.hashes(cell, "use()")
    small.edit("core/pair.py", "first(1)", "second(1)")
    assert small.changed(before, cell, "use()") == BOTH


@pytest.mark.parametrize(
    "cell",
    [
        "from d2lext import {b} as lib\nlib.predict(1)",
        "import d2lext.{b} as lib\nlib.predict(1)",
        "import d2lext.{b}\nd2lext.{b}.predict(1)",
        "from d2lext.{b} import predict as f\nf(1)",
        "from d2lext.{b} import *\npredict(1)",
        "from d2lext.{b}.blocks import predict\npredict(1)",
        "from d2lext.{b} import blocks\nblocks.predict(1)",
        "def f():\n    from d2lext.{b} import predict\n    return predict(1)",
        "d2l.predict(1)",  # imported by whoever runs the cell
        "from d2lext import {b} as d2l\ngetattr(d2l, 'predict')(1)",
        "from d2lext import {b} as d2l\nfor lib in [d2l]:\n    lib.predict(1)",
        "from d2lext import torch, jax\ndef f(lib): lib.predict(1)",
        "from d2lext import torch, jax\ndef f(lib): lib.blocks.predict(1)",
    ],
)
def test_ways_to_a_name(small, cell):
    for file, stale in {
        "blocks": lambda b: {b},
        "models": lambda b: set(),
        "densenet": lambda b: set(),
    }.items():
        for backend in small.backends:
            before = small.hashes(cell)
            small.edit(f"{backend}/{file}.py", "return ", "return 1 + ")
            expected = (
                BOTH if "torch, jax" in cell and stale(backend) else stale(backend)
            )
            assert small.changed(before, cell) == expected


def test_names_served_on_demand(small):
    network = "d2l.densenet121()"
    before = small.hashes(network)
    small.edit("jax/models.py", "(name)\n", "(name, 1)\n")
    assert small.changed(before, network) == {"jax"}
    before = small.hashes(network)
    small.edit("torch/blocks.py", "return X", "return -X")  # of a base of DenseNet
    assert small.changed(before, network) == {"torch"}
    small.write("core/names/__init__.py", "")
    small.write("core/names/fallback.py", "def lookup(): pass\n")
    before = small.hashes("d2l.masked_softmax()")
    small.write("core/names/fallback.py", "def lookup(): return 1\n")
    assert small.changed(before, "d2l.masked_softmax()") == BOTH
    assert small.changed(small.hashes(), *small.cells) == set()


def test_a_missing_file_is_named(small):
    for cell, file in {
        "from d2lext import nothing": "d2lext/nothing.py",
        "from d2lext.nothing import x": "d2lext/nothing.py",
        "from d2lext.core.steps import nothing": "d2lext/core/steps/nothing.py",
        "d2l.DenseNetBC()": "d2lext/torch/family.py",
    }.items():
        with pytest.raises(FileNotFoundError) as error:
            small.hashes(cell)
        assert str(error.value.filename).endswith(file)
    assert small.hashes("import d2lext.nothing")  # fails when it runs


# The library as it is.


@pytest.fixture(scope="module")
def reached(root):
    """What each notebook reaches, by chapter and framework: modules and names."""
    result = {}
    for chapter in Book(root).chapters:
        for backend in IDS:
            cells = [
                c.source for c in chapter.cells_for(backend) if c.kind != "markdown"
            ]
            reach = Reach(root, backend, cells)
            result[chapter.name, backend] = {
                (each.module.name, name)
                for each in reach.reached
                if isinstance(each, Definition) and each.module.name
                for name in each.names
            }
    return result


@pytest.mark.parametrize("backend", IDS)
def test_a_notebook_of_one_framework(reached, backend):
    found = reached["densenet", backend]
    core = {name for module, name in found if module.startswith("d2lext.core")}
    assert core >= {"Trainer", "Minibatches", "resize", "ProgressBoard"}
    own = {name for module, name in found if module.startswith(f"d2lext.{backend}.")}
    assert own >= {"Trainer", "Classifier", "FashionMNIST", "num_gpus"}
    assert not {"LeNet", "examine", "save_weights", "concat"} & own
    assert {module.split(".")[1] for module, _ in found if "." in module} == {
        "core",
        backend,
    }


def test_a_notebook_of_all_frameworks(reached):
    found = reached["one-network", "torch"]
    for backend in IDS:
        own = {
            name for module, name in found if module.startswith(f"d2lext.{backend}.")
        }
        assert own >= {"DenseNet", "create_model", "examine", "predict", "Trainer"}
        assert not {"LeNet", "ResNeXtBlock"} & own
        assert reached["one-network", backend] == found


def test_names_made_while_code_runs_are_known(root):
    """The hash does not see them: a new one needs a place in `library`."""
    hidden = r"import_module\(|__import__\(|globals\(\)|_subclass|^ *from \."
    users = {
        path.name
        for path in (root / "d2lext").rglob("*.py")
        if re.search(hidden, path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    # Keras' own files name the class of their model, which the notebook then has, too.
    users.discard("keras_model.py")
    assert users == {"exports.py", "fallback.py", "provenance.py"}


@pytest.fixture(scope="module")
def library(tmp_path_factory, root):
    """A copy of the library."""
    copy = tmp_path_factory.mktemp("library") / "d2lext"
    return shutil.copytree(root / "d2lext", copy)


@pytest.mark.parametrize(
    ("room", "name", "stale"),
    [
        ("core", "resize", set(IDS)),
        ("core", "Minibatches", set(IDS)),
        ("core", "show_images", set(IDS)),
        ("core", "plot", set()),
        ("core", "population", set()),
        ("torch", "Module", {"torch"}),
        ("mxnet", "compile_faster", {"mxnet"}),
        ("jax", "conv_by_products", {"jax"}),
        ("tensorflow", "in_graph", {"tensorflow"}),
        ("tensorflow", "LeNet", set()),
    ],
)
def test_changes_in_the_library(library, room, name, stale):
    training = "d2l.Trainer().fit(d2l.Classifier(), d2l.FashionMNIST())"

    def hashes():
        cells = {b: [f"from d2lext import {b} as d2l", training] for b in IDS}
        return {b: code_hash(library.parent, b, cells[b]) for b in IDS}

    before = hashes()
    head = re.compile(rf"^(?:def|class) {name}\b[^\0]*?:\n", re.MULTILINE)
    files = {path: path.read_text() for path in (library / room).rglob("*.py")}
    changed = {p: head.sub(r"\g<0>    1 + 1\n", text) for p, text in files.items()}
    [path] = [path for path in files if files[path] != changed[path]]
    path.write_text(changed[path])
    after = hashes()
    path.write_text(files[path])
    assert {backend for backend in IDS if before[backend] != after[backend]} == stale
