"""The notebooks that a teacher hands out and keeps: the students' and the instructor's.

Authors write nothing extra: `exercises` finds which cells belong to an exercise, and
`answers` replaces its solution with cells that nbgrader grades. The instructor's notebooks
are the source of an nbgrader assignment; the students' are what `nbgrader
generate_assignment` makes of it, with the outputs of everything but solutions.
"""

import copy
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder import files
from builder.notebooks import colab, markdown, store
from builder.notebooks.edition import Edition
from builder.publishing import exercises
from builder.publishing.answers import TEXT_STUB, Answers
from builder.source import repository
from builder.source.prose import Element, Prose
from d2lext.core.frameworks import TITLES

KINDS = ("student", "instructor")
# One text for both: nbgrader releases the first cell of the instructor's notebook, too.
OPENING = (
    f"**To hand in.** Answer where a cell says *{TEXT_STUB}* or *YOUR CODE HERE*. Keep "
    "those cells whole: add cells instead of splitting, copying or deleting them."
)
NEEDED = (
    "The code needs the package `d2lext` {needed}. {where} run "
    "`python build.py {setup}`, and choose the environment `.venv` there as this "
    "notebook's kernel; or start `.venv/bin/jupyter lab` from the folder where you keep "
    "this notebook, not from the book's."
)
CONFIG = Path(__file__).parent / "templates" / "nbgrader_config.py"


def build(own: Iterable[Edition], out: Path) -> list[Path]:
    """Write both kinds of these editions below `out`; return their folders."""
    own = list(own)
    prepared: dict[Path, dict[str, NotebookNode]] = {}
    for kind in KINDS:
        for edition in own:
            notebooks = prepared.setdefault(out / kind / edition.backend, {})
            notebooks[f"{edition.chapter.stem}.ipynb"] = notebook(edition, kind)
    images = own[0].book.root / "chapters" / "img"
    # Only now: an error leaves everything as it was.
    for folder, notebooks in prepared.items():
        for name, content in notebooks.items():
            files.write(folder / name, nbformat.writes(content) + "\n")
        for path in set(folder.glob("*.ipynb")) - {folder / name for name in notebooks}:
            path.unlink()  # of a chapter that no longer exists
        _copy_images(images, folder / "img", notebooks.values())
    files.write(out / "instructor" / CONFIG.name, CONFIG.read_bytes())
    return list(prepared)


def notebook(edition: Edition, kind: str) -> NotebookNode:
    """The notebook of `edition` for its `kind` of readers, "student" or "instructor"."""
    answers = Answers(edition, kind)
    cells = [_opening(edition)]
    items = exercises.divided(edition.pairs())
    for exercise, group in groupby(items, lambda item: item[0]):
        is_solved = False
        for solves, part in groupby(group, lambda item: "solution" in item[1].tags):
            pairs = [(cell, recorded) for _, cell, recorded in part]
            if solves:
                is_solved = True
                cells += answers.solved(exercise, pairs)
            else:
                cells += [copy.deepcopy(recorded) for _, recorded in pairs]
        if exercise and not is_solved:
            cells.append(answers.unsolved(exercise))
    for cell in cells:
        if cell.cell_type == "markdown":  # images are beside the notebook
            cell.source = markdown.with_images(cell.source, _beside)
    metadata = copy.deepcopy(edition.notebook.metadata)
    metadata[store.KEY] = {
        "generated": metadata[store.KEY]["generated"],
        "backend": edition.backend,
        "edition": kind,
    }
    result = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    return colab.with_cell(result, edition.book.root, edition.backends)


def _opening(edition: Edition) -> NotebookNode:
    """The first cell: who this notebook is for, and what its code needs."""
    text = OPENING
    if edition.has_code:
        needed, setup = "and no framework", f"setup --backend {edition.backend}"
        if len(edition.backends) > 1:
            needed, setup = "with all four frameworks", "setup"
        elif edition.backends:
            needed = f"with {TITLES[edition.backend]}"
        where = "In the book's folder"
        if repo := repository.of_book(edition.book.root):
            where = f"In a clone of [the book]({repo.address})"
        text += "\n\n" + NEEDED.format(needed=needed, where=where, setup=setup)
    return nbformat.v4.new_markdown_cell(text, id="edition")


def _beside(image: Element) -> str:
    """The `image` in a folder beside the notebook."""
    return image.written.replace(f"{markdown.IMAGES}img/", "img/", 1)


def _copy_images(source: Path, target: Path, notebooks: Iterable[NotebookNode]) -> None:
    """Copy to `target` those images of `source` that `notebooks` show; remove others."""
    names = {
        image.content.removeprefix("img/")
        for notebook in notebooks
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for image in Prose(cell.source).of("image")
        if image.content.startswith("img/")
    }
    for name in names:
        files.write(target / name, (source / name).read_bytes())
    for path in target.rglob("*"):
        if path.is_file() and path.relative_to(target).as_posix() not in names:
            path.unlink()
