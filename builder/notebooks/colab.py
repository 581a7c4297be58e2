"""What a notebook needs on Colab, Kaggle and Studio Lab: an install cell, images by URL.

Both rely on the setting `repository` of chapters/book.toml. Without it a notebook is
unchanged, because there is nothing to install from.
"""

import copy
import hashlib
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder.notebooks import markdown
from builder.setup import requirements
from builder.source import repository
from builder.source.repository import Repository

GENERATED = {"d2lext": {"generated": "for Google Colab"}}  # metadata of our cell

# The beginning of an image's URL in any repository, which may have changed since.
ADDRESS = re.compile(r"\]\(https://raw\.githubusercontent\.com/[^)\s]+?/chapters/img/")

# What is installed there stays as it is: NumPy or the framework may be loaded by then.
CELL = """\
# On Colab, Kaggle and Studio Lab: installs what is missing. Elsewhere: nothing.
import os
import sys

if (
    "google.colab" in sys.modules
    or "KAGGLE_KERNEL_RUN_TYPE" in os.environ
    or os.path.expanduser("~") == "/home/studio-lab-user"
):
    %pip list --format=freeze --exclude d2lext > /tmp/installed.txt
{}"""


def prepared(
    notebook: NotebookNode, root: Path, backends: Iterable[str]
) -> NotebookNode:
    """A copy of the notebook as published: with the install cell, and images by URL.

    `backends` are the frameworks that its code imports.
    """
    source = repository.of_book(root)
    notebook = with_cell(notebook, root, backends)
    if images := source and source.raw("chapters/"):
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace(f"]({markdown.IMAGES}", f"]({images}")
    return notebook


def with_cell(
    notebook: NotebookNode, root: Path, backends: Iterable[str]
) -> NotebookNode:
    """A copy of the notebook whose first code cell installs `backends` where hosted."""
    notebook, source = copy.deepcopy(notebook), repository.of_book(root)
    kinds = [cell.cell_type for cell in notebook.cells]
    if source and "code" in kinds:
        notebook.cells.insert(kinds.index("code"), _cell(source, backends))
    return notebook


def written(notebook: NotebookNode) -> list[NotebookNode]:
    """The notebook's cells with the changes of `prepared` undone, in place."""
    cells = [cell for cell in notebook.cells if not _is_generated(cell)]
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = ADDRESS.sub(f"]({markdown.IMAGES}img/", cell.source)
    return cells


def _is_generated(cell: NotebookNode) -> bool:
    return cell.metadata.get("d2lext") == GENERATED["d2lext"]


def _cell(source: Repository, backends: Iterable[str]) -> NotebookNode:
    """The install cell: the project from its repository, and what else may be missing.

    What is there is not replaced, whatever its version: pip takes versions of the rest
    that go with it, or says which requirement of the project it does not meet.
    """
    normal, alone = requirements.asked_for([*backends])
    # By the common name of TensorFlow's two builds: either will do.
    wanted = {
        requirements.name_of(line) + re.sub(r"^[\w-]+|;.*", "", line) for line in normal
    }
    quoted = [f'"{requirement}"' for requirement in sorted(wanted)]
    project = f"git+{source.address}@{source.branch}"
    kept = ["--constraint", "/tmp/installed.txt"]
    others = _pip(["--no-deps", *alone]) if alone else ""
    text = CELL.format(_pip([*kept, *quoted, project]) + others)
    cell_id = hashlib.sha256(text.encode()).hexdigest()[:8]
    metadata = copy.deepcopy(GENERATED)
    return nbformat.v4.new_code_cell(text.rstrip(), id=cell_id, metadata=metadata)


def _pip(words: Iterable[str]) -> str:
    """A `%pip` command, wrapped to the line length of all code in the book."""
    lines = textwrap.wrap(
        "%pip install --quiet " + " ".join(words),
        width=73,
        initial_indent="    ",
        subsequent_indent="        ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return " \\\n".join(lines) + "\n"
