"""Notebooks to download from the site: a chapter's own, with the images embedded.

Outside the repository, a notebook would not find its images, so its text contains their
data. That takes HTML: JupyterLab does not show SVG attachments, and VS Code does not
show data URLs in Markdown images.
"""

import base64
import copy
import html
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from builder.errors import BookError
from builder.notebooks import markdown, store
from builder.source.images import TYPES
from builder.source.prose import Element, plain_text


def text(notebook: NotebookNode, root: Path, backend: str) -> str:
    """The file that the site offers of the `notebook` for `backend`."""
    return nbformat.writes(embedded(notebook, root, backend)) + "\n"


def path(name: str, backend: str) -> str:
    """Where the site offers the notebook of the chapter `name`."""
    return f"notebooks/{backend}/{name}.ipynb"


def embedded(notebook: NotebookNode, root: Path, backend: str) -> NotebookNode:
    """A self-contained copy of the notebook, without the data that `sync` needs."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.get(store.KEY, {}).pop(store.SPLIT_FROM, None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _embed(cell.source, root / "notebooks" / backend)
    return notebook


def _embed(text: str, folder: Path) -> str:
    """`text` with its image files embedded as data."""

    def image(element: Element) -> str:
        if ":" in element.content:  # a URL, data or an attachment
            return text[element.start : element.end]
        file = (folder / element.content).resolve()
        alt = html.escape(plain_text(element.token))
        return f'<img alt="{alt}" src="{_data(file)}">'

    return markdown.with_images(text, image)


def _data(file: Path) -> str:
    try:
        content = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise BookError(
            f"the image {file} cannot be read ({error.strerror}): restore it, or correct "
            "the chapter that shows it"
        ) from error
    return f"data:{TYPES[file.suffix.lower()]};base64,{content}"
