"""What is out of date or breaks a rule, found without running a notebook."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.notebooks import outputs, store
from builder.notebooks.edition import Edition, editions
from builder.source import export
from builder.source.book import Book
from d2lext.core.frameworks import IDS


def problems(root: Path, backends: Iterable[str] = IDS) -> list[str]:
    """A line for each problem: what it is, where, and the command that fixes it.

    Raises BookError where a chapter itself breaks a rule.
    """
    book, backends = Book(root), list(backends)
    return [*_findings(root), *_exports(book, backends), *_notebooks(book, backends)]


def stale_editions(book: Book, backends: Iterable[str] = IDS) -> list[Edition]:
    """The editions recorded from different code, or never recorded."""
    return [
        edition for edition in editions(book, backends=backends) if edition.is_stale
    ]


def report_stale(book: Book, backends: Iterable[str] = IDS) -> None:
    """Print a line for each stale edition, with the command that runs it."""
    report(stale_editions(book, backends))


def report(stale: Iterable[Edition]) -> None:
    """Print a line for each of these stale editions, with the command that runs it."""
    for edition in stale:
        print(f"{edition.title} is stale: {_rerun(edition)}")


def _rerun(edition: Edition) -> str:
    name, backend = edition.chapter.name, edition.backend
    return f"python build.py run {name} --backend {backend}"


def _findings(root: Path) -> list[str]:
    """Ruff's findings in code and notebooks, and mypy's in annotated code."""
    lint = ["ruff", "check", "--output-format=concise", "--quiet"]
    # A notebook imports where it needs to, and may have to import d2lext first.
    cells = ["--select=E,F,W", "--ignore=E402,E741"]
    cells += ["--config=lint.pycodestyle.max-line-length=79"]
    commands = [
        [*lint, "."],
        ["ruff", "format", "--check", "--output-format=concise", "--quiet", "."],
        [*lint, *cells, *map(str, root.glob("notebooks/*/*.ipynb"))],
        ["mypy", "--no-error-summary"],
    ]
    lines = []
    for command in commands:
        result = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True
        )
        if result.returncode:
            lines += (result.stdout + result.stderr).splitlines()
    return [line for line in lines if line.strip() and ": note: " not in line]


def _exports(book: Book, backends: Iterable[str]) -> Iterator[str]:
    for path in export.outdated(book, backends):
        yield f"{path} differs from its chapter: python build.py export"


def _notebooks(book: Book, backends: Iterable[str]) -> Iterator[str]:
    for edition in editions(book, backends=backends):
        path = edition.shown_path
        if edition.is_stale:
            yield f"{path} was recorded from different code: {_rerun(edition)}"
            continue
        if edition.path.read_text(encoding="utf-8") != edition.text():
            yield f"{path} differs from its chapter: python build.py notebooks"
        yield from map(str, outputs.differences(edition))
        for mode in ("fast", "synthetic"):
            if edition.notebook.metadata[store.KEY]["recorded"].get(mode):
                yield f"{path} was recorded in {mode} mode: {_rerun(edition)}"
