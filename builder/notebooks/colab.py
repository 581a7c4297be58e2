"""What a notebook needs on Google Colab: a cell that installs, and images by address.

Both come from the setting `repository` of chapters/book.toml. Without it a notebook
stays as it is, because there is no place to install from.
"""

import copy
import hashlib
import re
import textwrap

import nbformat

from builder.notebooks import markdown
from builder.source import repository
from builder.setup import requirements
from builder.publishing import sphinx_build
from d2lext.core.frameworks import IDS

GENERATED = {"d2lext": {"generated": "for Google Colab"}}  # metadata of our cell

RAW = re.compile(r"\]\(https://raw\.githubusercontent\.com/[^)\s]+?/chapters/img/")

CELL = """\
# On Google Colab: installs what is missing there. Elsewhere: nothing.
import sys

if "google.colab" in sys.modules:
{}"""


def prepared(notebook, root, backends):
    """A copy of the notebook as it is published: with the cell, images by address.

    Its code imports the `backends`.
    """
    source = repository.of_book(root)
    notebook = with_cell(notebook, root, backends)
    if images := source and source.raw("chapters/"):
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = cell.source.replace(f"]({markdown.IMAGES}", f"]({images}")
    return notebook


def with_cell(notebook, root, backends):
    """A copy of the notebook whose first code cell installs `backends` on Colab."""
    notebook, source = copy.deepcopy(notebook), repository.of_book(root)
    kinds = [cell.cell_type for cell in notebook.cells]
    if source and "code" in kinds:
        notebook.cells.insert(kinds.index("code"), _cell(source, backends))
    return notebook


def written(notebook):
    """A notebook's cells as they are without what `prepared` has done.

    With whatever `repository` it was: the setting may have changed since.
    """
    cells = [cell for cell in notebook.cells if not _is_ours(cell)]
    for cell in cells:
        if cell.cell_type == "markdown":
            cell.source = RAW.sub(f"]({markdown.IMAGES}img/", cell.source)
    return cells


def _is_ours(cell):
    return cell.metadata.get("d2lext") == GENERATED["d2lext"]


def _cell(source, backends):
    """The cell: the project from its repository, of all else what Colab lacks.

    No versions are asked for, since Colab's own are loaded by the time that it runs.
    """
    normal, alone = requirements.asked_for(["base", *backends])
    names = sorted(set(map(requirements.name_of, normal)))
    project = f"git+{source.address}@{source.branch}"
    text = CELL.format(_pip(["--no-deps", *alone, project]) + _pip(names))
    cell_id = hashlib.sha256(text.encode()).hexdigest()[:8]
    metadata = copy.deepcopy(GENERATED)
    return nbformat.v4.new_code_cell(text.rstrip(), id=cell_id, metadata=metadata)


def _pip(words):
    """A command of IPython's, its lines as long as those of all code in the book."""
    lines = textwrap.wrap(
        "%pip install --quiet " + " ".join(words),
        width=73,
        initial_indent="    ",
        subsequent_indent="        ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return " \\\n".join(lines) + "\n"
