"""What all tests share: short training, the real data where they lie, the book's site.

`python build.py test --backend torch` leaves the other frameworks' files out.
"""

import os
import signal
from pathlib import Path

import pytest
from shared import frameworks
from shared.selected import BACKENDS, SELECTED, d2l_or_skip

from d2lext.core.frameworks import IDS

ROOT = Path(__file__).resolve().parents[1]
os.environ["D2LEXT_FAST"] = "1"
os.environ["PYTHONPATH"] = str(ROOT)  # for processes that use the builder
# A shell lets what it starts in the background ignore Ctrl-C; so would the processes that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# They take minutes each. At the end of a run, one process would wait for another's.
LONG = "pretrained", "family", "networks", "checkpoints", "bench", "memory"

# What one framework has alone; the other files ask each framework the same questions.
collect_ignore_glob = [
    pattern
    for name in IDS
    if BACKENDS and name not in BACKENDS
    for pattern in (f"backends/test_{name}_only.py", f"backends/speed/test_{name}_*.py")
]


def pytest_collection_modifyitems(items):
    """Begin with notebooks and with the other files that take longest."""
    long = [f"test_{name}.py" for name in LONG]
    items.sort(
        key=lambda item: item.path.suffix != ".ipynb" and item.path.name not in long
    )


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def built_site(tmp_path_factory):
    """The folder of the site, written from the recorded notebooks."""
    from builder.publishing import site
    from builder.source.book import Book

    out = tmp_path_factory.mktemp("site") / "html"
    return site.write(Book(ROOT), out).parent


@pytest.fixture(scope="module", params=SELECTED)
def backend(request):
    """A framework's name: a test that takes it runs in each that is selected."""
    d2l_or_skip(request.param)
    return request.param


@pytest.fixture(scope="module")
def d2l(backend):
    """The package of the framework."""
    return d2l_or_skip(backend)


@pytest.fixture(scope="module")
def framework(backend):
    """What tests need of the framework beyond its package: `shared.frameworks`."""
    return frameworks.of(backend)


@pytest.fixture(scope="module")
def whole_runs():
    """Training as long as a test says, whatever the environment asks for."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("D2LEXT_FAST", "D2LEXT_EPOCHS", "D2LEXT_CHECKPOINTS"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture
def interruptible():
    """Ctrl-C does what it does in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def figures(monkeypatch):
    """Figures are drawn nowhere, and closed afterwards."""
    from matplotlib import pyplot as plt

    monkeypatch.setenv("MPLBACKEND", "agg")
    with plt.rc_context():
        yield
    plt.close("all")
