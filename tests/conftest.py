"""What all tests share: short training, the real data where they lie, the book's site.

`python build.py test --backend torch` leaves the other frameworks' files out.
"""

import os
import signal
from pathlib import Path

import pytest
from shared.selected import BACKENDS

from d2lext.core.frameworks import IDS

ROOT = Path(__file__).resolve().parents[1]
os.environ["D2LEXT_FAST"] = "1"
os.environ["PYTHONPATH"] = str(ROOT)  # for processes that use the builder
# A shell lets what it starts in the background ignore Ctrl-C; so would the processes that
# tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# They take minutes each. At the end of a run, one process would wait for another's.
LONG = "pretrained", "family", "networks", "checkpoint", "trainer", "bench", "memory"

collect_ignore = [
    f"backends/test_{b}.py" for b in IDS if BACKENDS and b not in BACKENDS
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
