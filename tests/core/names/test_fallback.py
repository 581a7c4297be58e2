"""Names that d2lext does not define come from d2l, even where d2l's imports are missing."""

import importlib
import random
import sys

import pytest
from shared.selected import BACKENDS

from d2lext.core.frameworks import IDS
from d2lext.core.names import fallback

PACKAGE = "d2lext.fake"
SOURCE = """
import random
import torchvision
from torchvision import transforms
from scipy.spatial import distance_matrix
get_seed = lambda: random.randint(0, 1e6)
SEED = get_seed()
PATTERN = "\\d"

def key(rng: jax.random.PRNGKeyArray = None):
    pass

def read_image():
    return torchvision.io.read_image

def resize():
    return transforms.Resize(28)
"""
LATE = ("torchvision", "scipy.spatial")


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A d2l for the framework `fake`, beside which no library is loaded."""
    (tmp_path / "d2l").mkdir()
    (tmp_path / "d2l" / "__init__.py").touch()
    module = tmp_path / "d2l" / "fake.py"
    module.write_text(f"class jax:\n    Array = random = None\n{SOURCE}")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [n for n in sys.modules if n.partition(".")[0] == "d2l"]:
        monkeypatch.delitem(sys.modules, name)
    for name in LATE:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield module
    for name in ("d2l", "d2l.fake"):
        sys.modules.pop(name, None)


def test_d2l_is_loaded_without_what_it_needs_in_few_places(fake):
    before = set(sys.modules)
    random.seed(3)
    expected = random.Random(3).random()
    assert fallback.lookup(PACKAGE, "PATTERN") == r"\d"
    assert random.random() == expected, "the module's own draw is undone"
    assert not set(LATE) & set(sys.modules)
    assert {n for n in set(sys.modules) - before if "vision" in n} == set()
    module = sys.modules["d2l.fake"]
    assert fallback.lookup(PACKAGE, "key") is module.key
    assert fallback.lookup(PACKAGE, "SEED") == module.SEED
    assert importlib.import_module("d2l").fake is module


def test_a_part_that_needs_a_missing_library_says_so(fake, monkeypatch):
    resize = fallback.lookup(PACKAGE, "resize")
    read_image = fallback.lookup(PACKAGE, "read_image")
    monkeypatch.setitem(sys.modules, "torchvision", None)
    for function in (resize, read_image):
        with pytest.raises(
            ImportError, match="needs torchvision .*: pip install torchv"
        ):
            function()


def test_a_part_that_needs_a_broken_library_says_so(fake, tmp_path):
    (tmp_path / "torchvision.py").write_text('raise RuntimeError("other CUDA")')
    resize = fallback.lookup(PACKAGE, "resize")
    with pytest.raises(ImportError, match=r"needs torchvision \(other CUDA\)"):
        resize()


def test_a_library_that_is_there_is_used(fake, tmp_path):
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").touch()
    transforms = tmp_path / "torchvision" / "transforms.py"
    transforms.write_text("def Resize(size):\n    return f'to {size}'")
    try:
        assert fallback.lookup(PACKAGE, "resize")() == "to 28"
    finally:
        for name in ("torchvision", "torchvision.transforms"):
            sys.modules.pop(name, None)


def test_a_name_that_nobody_has(fake):
    with pytest.raises(
        AttributeError,
        match=f"{PACKAGE!r} has no attribute 'resiz', nor has d2l.fake; "
        "did you mean resize",
    ):
        fallback.lookup(PACKAGE, "resiz")


@pytest.mark.parametrize("name", ["__path__", "__wrapped__", "_repr_html_"])
def test_a_name_that_python_asks_for_loads_nothing(fake, name):
    with pytest.raises(AttributeError):
        fallback.lookup(PACKAGE, name)
    assert "d2l" not in sys.modules


def test_a_d2l_that_does_not_load(fake):
    fake.write_text("import no_such_library")
    with pytest.raises(AttributeError, match="does not load .*no_such_library"):
        fallback.lookup(PACKAGE, "Vocab")
    assert "d2l.fake" not in sys.modules


def test_without_d2l(fake, monkeypatch):
    monkeypatch.setitem(sys.modules, "d2l", None)
    with pytest.raises(AttributeError, match="pip install --no-deps d2l==1.0.3"):
        fallback.lookup(PACKAGE, "Vocab")


@pytest.mark.parametrize("backend", BACKENDS or IDS)
def test_the_real_d2l(backend):
    try:
        d2l = importlib.import_module(f"d2lext.{backend}")
    except ImportError as error:
        pytest.skip(str(error))
    pytest.importorskip("d2l", reason="d2l is not installed")
    vocab = d2l.Vocab(["a", "b", "b"])
    assert vocab[["b", "no such token"]] == [2, 0]
    assert sys.modules[f"d2l.{backend}"].Vocab is d2l.Vocab
    assert not any(isinstance(m, fallback._Late) for m in sys.modules.values())
    assert not hasattr(d2l, "no_such_name")
    assert d2l.DenseNet.__module__ == f"d2lext.{backend}.densenet"
    for name in d2l.__all__:
        origin = getattr(getattr(d2l, name), "__module__", None)
        assert origin != d2l.Vocab.__module__
