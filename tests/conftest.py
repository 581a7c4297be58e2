"""What all tests share: short training, the real data where they lie, the book's site.

`python build.py test --backend torch` leaves the other frameworks' files out; the
summary counts how many cells of the notebooks were compared.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from d2lext.book.backends import IDS

ROOT = Path(__file__).resolve().parents[1]
BACKENDS = [name for name in os.environ.get("D2LEXT_BACKENDS", "").split(",") if name]
os.environ["D2LEXT_FAST"] = "1"

collect_ignore = [f"test_{b}.py" for b in IDS if BACKENDS and b not in BACKENDS]


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def built_site(tmp_path_factory):
    """The folder of the site, written from the recorded notebooks."""
    from d2lext.book import merge, site
    from d2lext.book.book import Book

    out = tmp_path_factory.mktemp("site") / "html"
    return site.build(ROOT, out, merge.pages(Book(ROOT))).parent


def pytest_runtest_logreport(report):
    """Count the cells that nbval ran, by what it did with their output."""
    if report.when == "call" and hasattr(report, "nbval_kind"):
        _cells[report.nbval_kind] += 1


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    """Say of each notebook cell whether its output is compared."""
    outcome = yield
    if type(item).__name__ != "IPyNbCell":
        return
    if "nbval-skip" in item.cell.metadata.get("tags", []):
        kind = "skipped"
    elif "nbval-ignore-output" in item.cell.metadata.get("tags", []):
        kind = "run, exempt from comparison"
    else:
        kind = "compared"
    outcome.get_result().nbval_kind = kind


def pytest_terminal_summary(terminalreporter):
    """Print the counts of notebook cells."""
    if _cells:
        counts = ", ".join(f"{n} {kind}" for kind, n in sorted(_cells.items()))
        terminalreporter.write_line(f"notebook cells: {counts}")


_cells = Counter()
