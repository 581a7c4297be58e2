"""Notebooks to take away from the site: a chapter's own, with the images inside.

Away from the repository, a notebook's images would lie nowhere. They are put into its
text as data. That takes HTML: JupyterLab shows no SVG that is an attachment, and VS Code
none that Markdown's own notation has as data.
"""

import base64
import copy
import html
import mimetypes
import re

import nbformat

from builder.errors import BookError
from builder.notebooks import store

# Of an image in Markdown; its description may have brackets, in pairs.
IMAGE = re.compile(r"!\[(?P<alt>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<source>[^()\s]+)\)")


def texts(root, notebooks):
    """What the site offers, by path: `notebooks` by name, by backend."""
    return {
        path(name, backend): nbformat.writes(embedded(notebook, root, backend)) + "\n"
        for name, own in notebooks.items()
        for backend, notebook in own.items()
    }


def path(name, backend):
    """Where the site offers the notebook of the chapter `name`."""
    return f"notebooks/{backend}/{name}.ipynb"


def embedded(notebook, root, backend):
    """A copy of the notebook that needs no file beside it, and no chapter to sync with."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.get(store.KEY, {}).pop(store.SPLIT_FROM, None)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _embed(cell.source, root / "notebooks" / backend)
    return notebook


def _embed(text, folder):
    """`text` with each image in a file as one that the text itself holds."""

    def image(match):
        if ":" in match["source"]:  # an address, data or an attachment
            return match[0]
        file = (folder / match["source"]).resolve()
        return f'<img alt="{html.escape(match["alt"])}" src="{_data(file)}">'

    return IMAGE.sub(image, text)


def _data(file):
    try:
        content = base64.b64encode(file.read_bytes()).decode()
    except OSError as error:
        raise BookError(
            f"the image {file} cannot be read ({error.strerror}): put it there, "
            "or correct the chapter that shows it"
        ) from error
    return f"data:{mimetypes.guess_type(file.name)[0]};base64,{content}"
