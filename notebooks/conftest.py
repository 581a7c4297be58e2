"""Notebooks under nbval: training is short, and the summary counts compared cells.

All other files of this folder are written by `python build.py`.
"""

import os
from collections import Counter

import pytest

os.environ["D2LEXT_FAST"] = "1"
_cells = Counter()


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
