"""What is out of date or breaks a rule, found without running a notebook."""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder import files
from builder.command import formulas
from builder.errors import BookError
from builder.notebooks import outputs, store
from builder.notebooks.edition import Edition, editions
from builder.notebooks.strays import strays
from builder.source import export, pages
from builder.source.book import Book
from d2lext.core.frameworks import IDS

BOUND = re.compile(
    r"%%capture(?: --?\S+)* (\w+)|%%\w+ .*?--(?:out|err|proc) (\w+)|%time ([\w, ]+) = "
)
IN_NOTEBOOK = re.compile(r"(\S+\.ipynb):cell (\d+):(\d+):\d+: (.*)")


def problems(root: Path, backends: Iterable[str] = IDS) -> list[str]:
    """A line for each problem: what it is, where, and the command that fixes it.

    Raises BookError where a chapter or a setting breaks a rule.
    """
    book, backends = Book(root), list(backends)
    pages.moved(root, [chapter.stem for chapter in book.chapters])
    findings = dict.fromkeys(_in_chapters(_findings(root), book))
    return [
        *findings,
        *formulas.problems(book.chapters),
        *_exports(book, backends),
        *_notebooks(book, backends),
    ]


def report_stale(some: Iterable[Edition]) -> None:
    """Print a line for each stale one of `some` editions."""
    report(edition for edition in some if edition.is_stale)


def report(stale: Iterable[Edition]) -> None:
    """Print a line for each of these `stale` editions: why it is stale, and a remedy."""
    for edition in stale:
        print(f"{edition.title} is stale, as it {_stale(edition)}", flush=True)


def _stale(edition: Edition) -> str:
    """Why the `edition` is stale, and what to do."""
    remedy = _rerun(edition)
    if edition.changed and edition.is_edited:
        remedy = f"python build.py sync {edition.chapter.name}, or undo the edits"
    elif edition.changed:
        remedy = f"restore it from the repository, or record it again: {remedy}"
    return f"{edition.stale}: {remedy}"


def _rerun(edition: Edition) -> str:
    name, backend = edition.chapter.name, edition.backend
    # One recording of a shared chapter serves every framework.
    own = "" if edition.chapter.is_shared else f" --backend {backend}"
    return f"python build.py run {name}{own}"


def _findings(root: Path) -> list[str]:
    """Ruff's findings in code and notebooks, and mypy's in annotated code."""
    lint = ["ruff", "check", "--output-format=concise", "--quiet"]
    # A notebook imports where it needs to, and may have to import d2lext first.
    cells = ["--select=E,F,W", "--ignore=E402,E741"]
    cells += ["--config=lint.pycodestyle.max-line-length=79"]
    cells += [f"--config=builtins={json.dumps(_bound_by_magics(root))}"]
    commands = [
        [*lint, "."],
        ["ruff", "format", "--check", "--output-format=concise", "--quiet", "."],
        ["mypy", "--no-error-summary"],
    ]
    if notebooks := [*map(str, root.glob("notebooks/*/*.ipynb"))]:  # not all of "."
        commands.insert(2, [*lint, *cells, *notebooks])
    lines = []
    for command in commands:
        result = subprocess.run(
            [sys.executable, "-m", *command], cwd=root, capture_output=True, text=True
        )
        if result.returncode:
            lines += (result.stdout + result.stderr).splitlines()
    return [line for line in lines if line.strip() and ": note: " not in line]


def _in_chapters(findings: Iterable[str], book: Book) -> Iterator[str]:
    """The `findings`, those in a notebook's cell at its line of the chapter."""
    known = {edition.shown_path: edition for edition in editions(book)}
    for finding in findings:
        match = IN_NOTEBOOK.fullmatch(finding)
        edition = known.get(match[1]) if match else None
        if match and edition and (notebook := store.read(edition.file)):
            place, row = int(match[2]) - 1, int(match[3]) - 1  # ruff counts from 1
            written = notebook.cells[place].source
            for cell in edition.chapter.cells_for(edition.backend)[place : place + 1]:
                if cell.source == written:  # else the chapter has changed since
                    finding = str(edition.chapter.error(cell.line + row, match[4]))
        yield finding


def _bound_by_magics(root: Path) -> list[str]:
    """The names that magics in notebooks bind, of which ruff knows nothing."""
    texts = [files.read_bytes(path) for path in root.glob("notebooks/*/*.ipynb")]
    found = [BOUND.findall(text.decode(errors="replace")) for text in texts]
    names = " ".join(name for groups in sum(found, []) for name in groups)
    return sorted({*names.replace(",", " ").split()})


def _exports(book: Book, backends: Iterable[str]) -> Iterator[str]:
    for path in export.outdated(book, backends):
        yield f"{path} differs from its chapter: python build.py export"


def _notebooks(book: Book, backends: Iterable[str]) -> Iterator[str]:
    chosen = list(editions(book, backends=backends))
    known = {edition.file for edition in chosen}
    if not any(file.exists() for file in known):
        yield "there are no notebooks: python build.py writes and runs them"
        return
    for edition in chosen:
        try:
            store.read(edition.file)
        except BookError as error:  # damaged
            yield str(error)
            continue
        yield from _notebook(edition)
    for path in strays(book, {edition.path.parent for edition in chosen}):
        if path not in known:
            yield (
                f"{path.relative_to(book.root).as_posix()} has no chapter: restore "
                f"chapters/{path.stem.partition('.')[0]}.md, or move the notebook elsewhere"
            )


def _notebook(edition: Edition) -> Iterator[str]:
    path = edition.shown_path
    is_moved = edition.file != edition.path
    if is_moved:
        new = edition.chapter.path
        yield f"{path} is the notebook of {new} now: python build.py notebooks"
    if edition.is_stale:
        yield f"{path} {_stale(edition)}"
        return
    if edition.is_edited:
        name = edition.chapter.name
        yield f"{path} was edited: python build.py sync {name}, or undo the edits"
    elif not is_moved and not edition.is_as_written:
        yield f"{path} differs from its chapter: python build.py notebooks"
    yield from map(str, outputs.differences(edition))
    recorded = edition.notebook.metadata[store.KEY].get("recorded", {})
    for mode in ("fast", "synthetic"):
        if recorded.get(mode):
            yield f"{path} was recorded in {mode} mode: {_rerun(edition)}"
    if recorded.get("epochs"):
        yield f"{path} was recorded with --epochs {recorded['epochs']}: {_rerun(edition)}"
