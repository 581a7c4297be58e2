"""What is out of date or against the rules, without running a notebook."""

import subprocess
import sys

from builder.notebooks import run, store
from builder.notebooks.edition import editions
from builder.source import export
from builder.source.book import Book
from d2lext.core.frameworks import IDS


def problems(root, backends=IDS):
    """A line for each thing to mend: what it is, where, and the command that mends it.

    Raises BookError where a chapter itself breaks a rule.
    """
    book = Book(root)
    return [
        *_style(root),
        *_exports(book, backends),
        *_notebooks(book, backends),
    ]


def stale_editions(book, backends=IDS):
    """The editions whose notebook was recorded from other code, or not at all."""
    return [
        edition for edition in editions(book, backends=backends) if edition.is_stale
    ]


def _style(root):
    """ruff's findings in the code of the project and in the cells of the notebooks."""
    findings = ["check", "--output-format=concise", "--quiet"]
    # An import may wait for its cell, and d2lext may have to come first.
    cells = ["--select=E,F,W", "--ignore=E402,E741"]
    cells += ["--config=lint.pycodestyle.max-line-length=79"]
    commands = [
        [*findings, "."],
        ["format", "--check", "--quiet", "."],
        [*findings, *cells, *map(str, root.glob("notebooks/*/*.ipynb"))],
    ]
    found = []
    for command in commands:
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command],
            cwd=root,
            capture_output=True,
            text=True,
        )
        if result.returncode:
            found += (result.stdout + result.stderr).splitlines()
    return [line for line in found if line.strip()]


def _exports(book, backends):
    return [
        f"{path} differs from its chapter: python build.py export"
        for path in export.outdated(book, backends)
    ]


def _notebooks(book, backends):
    found = []
    for edition in editions(book, backends=backends):
        shown, name = edition.shown_path, edition.chapter.name
        again = f"python build.py run {name} --backend {edition.backend}"
        if edition.is_stale:
            found.append(f"{shown} was recorded from other code: {again}")
            continue
        if edition.path.read_text(encoding="utf-8") != edition.text():
            found.append(f"{shown} differs from its chapter: python build.py notebooks")
        found += map(str, run.differences(edition))
        for mode in ("fast", "synthetic"):
            if edition.notebook.metadata[store.KEY]["recorded"].get(mode):
                found.append(f"{shown} was recorded in {mode} mode: {again}")
    return found
