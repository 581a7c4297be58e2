"""A book of one small chapter, which is recorded in a second."""

import shutil

from builder.notebooks import run
from builder.notebooks.edition import Edition, editions
from builder.source.book import Book

CHAPTER = """\
# Tiny {cite:p}`lin2014network`

:::{figure} img/box.svg
:name: fig-box
:alt: A box.

See {eq}`eq-sum`.
:::

$$a + b$$ (eq-sum)

```{code-cell}
---
tags: [torch]
---
x = 1
```

```{code-cell}
---
tags: [mxnet, jax, tensorflow]
---
x = 2
```

```{code-cell}
---
expect: {torch: 1, mxnet: 2, jax: 2, tensorflow: 2}
---
print(x)
```

```{code-cell}
---
tags: [train]
---
6 * 7
```

```{code-cell}
---
tags: [torch, export]
---
def double(x):
    return 2 * x
```
"""


class Tiny:
    """A book of one chapter, beside a copy of the library."""

    def __init__(self, root, project):
        self.root = root
        (root / "chapters" / "img").mkdir(parents=True)
        (root / "chapters" / "img" / "box.svg").write_text("<svg/>")
        shutil.copy(project / "chapters" / "references.bib", root / "chapters")
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(project / "d2lext", root / "d2lext", ignore=ignore)
        self.edit()

    def edit(self, old="", new="", file="chapters/01-tiny.md"):
        """Write the chapter, or replace `old` by `new` in a file."""
        path = self.root / file
        text = CHAPTER if file.endswith("tiny.md") and not path.exists() else None
        text = text or path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1) if old else text)

    @property
    def book(self):
        return Book(self.root)

    def edition(self, backend):
        book = self.book
        return Edition(book, book.chapters[0], backend)

    def notebook(self, backend):
        return self.edition(backend).notebook

    def path(self, backend):
        return self.root / "notebooks" / backend / "01-tiny.ipynb"

    def record(self, *backends):
        for backend in backends:
            run.record(self.edition(backend), progress=lambda line: None)

    def stale(self):
        return {e.backend for e in editions(self.book) if e.is_stale}
