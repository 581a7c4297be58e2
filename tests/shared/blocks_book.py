"""A book with one chapter of everything, whose notebooks are edited."""

import shutil

import nbformat

from builder.notebooks import store
from builder.notebooks.edition import Edition
from builder.source.book import Book
from builder.sync import sync
from d2lext.core.frameworks import IDS
from shared import ROOT

CHAPTER = r"""---
jupytext:
  text_representation: {format_name: myst}
---

(chap-blocks)=
# Dense Blocks

A sum mixes its terms {cite:p}`he2016deep`, as {eq}`eq-sum` says.
Read {numref}`fig-box` beside it.{spaces}

% Only the author reads this line.

$$
f(x) = x + g(x).
$$ (eq-sum)

:::{figure} img/box.svg
:name: fig-box
:alt: A box beside another.
:script: img/box.js

What a layer adds, by {eq}`eq-sum`.
:::

More text stands here.

```{code-cell}
:tags: [torch]
import torch  # the first one
```

```{code-cell}
---
tags:   [mxnet]
---
import mxnet
```

```{code-cell}
---
tags: [jax, export]
---
def jax_alone(x):
    return 2 * x
```

```{code-cell}
---
tags: [tensorflow]
---
import tensorflow
```

+++ {"tags": ["torch"]}

PyTorch has *this* to say.

+++ {"tags": ["mxnet", "jax"]}

Two of them share a paragraph, after {numref}`sec-count`.

+++

All of them go on.

```{code-cell}
---
expect: |
  23
---
c, k = 3, 10
print(c + 2 * k)
```

(sec-count)=
## Counting

```{code-cell}
---
tags: [train]
---
total = c + k

print(total)
```

+++ {"tags": ["slide"]}

For lectures alone.

+++

The end, with `{eq}` in code.

:::{note}
A note, {cite:t}`he2016deep`.
:::
"""
CHAPTER = CHAPTER.replace("{spaces}", "   ")  # an edit leaves such spaces, too
OTHER = "# Another\n\nSee {numref}`sec-count`.\n"


# Cells of the chapter, each with what is around it.
TORCH = "```{code-cell}\n:tags: [torch]\nimport torch  # the first one\n```\n\n"
JAX = (
    "```{code-cell}\n---\ntags: [jax, export]\n---\n"
    "def jax_alone(x):\n    return 2 * x\n```\n\n"
)
SUM = (
    "```{code-cell}\n---\nexpect: |\n  23\n---\nc, k = 3, 10\nprint(c + 2 * k)\n```\n\n"
)
TWO = (
    '+++ {"tags": ["mxnet", "jax"]}\n\n'
    "Two of them share a paragraph, after {numref}`sec-count`.\n\n"
)
ALL = "+++\n\nAll of them go on.\n\n"


class Small:
    """A book with one chapter of everything, and its notebooks."""

    def __init__(self, root):
        self.root = root
        (root / "chapters" / "img").mkdir(parents=True)
        (root / "chapters" / "img" / "box.svg").write_text("<svg/>")
        (root / "chapters" / "img" / "box.js").write_text("// nothing\n")
        shutil.copy(ROOT / "chapters" / "references.bib", root / "chapters")
        (root / "d2lext").symlink_to(ROOT / "d2lext")
        self.written = {}  # the notebooks as they were split at first
        self.reset()

    def reset(self, text=CHAPTER):
        self.chapter.write_text(text, newline="")
        (self.root / "chapters" / "02-another.md").write_text(OTHER)
        if self.written.get("text") != text:
            self.split()
            paths = (self.root / "notebooks").glob("*/*")
            self.written = {"text": text, **{path: path.read_bytes() for path in paths}}
        for path in (self.root / "notebooks").glob("*/*"):
            path.write_bytes(self.written[path])

    @property
    def chapter(self):
        return self.root / "chapters" / "01-blocks.md"

    @property
    def text(self):
        return self.chapter.read_bytes().decode()

    def path(self, backend):
        return self.root / "notebooks" / backend / "01-blocks.ipynb"

    def split(self):
        book = Book(self.root)
        chapter = book.find("blocks")
        for backend in IDS:
            Edition(book, chapter, backend).write()

    def sync(self, backends=IDS):
        book = Book(self.root)
        return sync.sync(book, book.chapters, backends)

    def read(self, backend):
        return nbformat.read(self.path(backend), as_version=4)

    def shown(self, backend):
        return [(cell.cell_type, cell.source) for cell in self.read(backend).cells]

    def tags(self, backend):
        """Its author's tags, cell by cell."""
        tags = [cell.metadata.get("tags", ()) for cell in self.read(backend).cells]
        return [sorted(set(own) - {store.IGNORED}) for own in tags]

    def edit(self, backend, change):
        """Apply `change` to the list of a notebook's cells."""
        notebook = self.read(backend)
        change(notebook.cells)
        nbformat.write(notebook, self.path(backend))

    def replace(self, old, new, *backends):
        """Replace `old` in the cells of notebooks, where it stands once."""
        for backend in backends:

            def change(cells):
                [cell] = [cell for cell in cells if old in cell.source]
                assert cell.source.count(old) == 1
                cell.source = cell.source.replace(old, new)

            self.edit(backend, change)


def moved(old, new):
    """An edit: the first cell with `old` goes behind the one with `new`, or to the top."""

    def edit(cells):
        [cell] = [cell for cell in cells if old in cell.source]
        cells.remove(cell)
        places = [i for i, other in enumerate(cells) if new and new in other.source]
        cells.insert(places[0] + 1 if new else 0, cell)

    return edit


def tagged(text, *tags):
    """An edit: other tags for the cell with that text."""

    def edit(cells):
        [cell] = [cell for cell in cells if text in cell.source]
        cell.metadata["tags"] = list(tags)

    return edit
