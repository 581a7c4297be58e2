"""A skeleton for a new chapter, with every part of a section in teaching order."""

import re
from pathlib import Path

from docutils.nodes import make_id

from builder import files
from builder.errors import BookError

FOLDED = str.maketrans({"ð": "d", "þ": "th"})  # docutils drops these two
# For each framework: its imports, the code of a cell, and the output to expect.
CODE = {
    "torch": (
        "import torch\nfrom d2lext import torch as d2l",
        "X = torch.ones(2, 3)\nY = torch.cat((X, 2 * X), dim=1)\nY.shape",
        "torch.Size([2, 6])",
    ),
    "mxnet": (
        "from d2lext import mxnet as d2l\nfrom mxnet import np",
        "X = np.ones((2, 3))\nY = np.concatenate((X, 2 * X), axis=1)\nY.shape",
        "(2, 6)",
    ),
    "jax": (
        "from jax import numpy as jnp\nfrom d2lext import jax as d2l",
        "X = jnp.ones((2, 3))\nY = jnp.concatenate((X, 2 * X), axis=1)\nY.shape",
        "(2, 6)",
    ),
    "tensorflow": (
        "from d2lext import tensorflow as d2l\nimport tensorflow as tf",
        "X = tf.ones((2, 3))\nY = tf.concat((X, 2 * X), axis=1)\nY.shape",
        "TensorShape([2, 6])",
    ),
}
SKELETON = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
card:
  question: Which question does the chapter answer?
  outcome: Say what readers have in the end.
  time: say how long it takes, such as an hour to read
  needs: say what readers should know before, such as Chapter 1
---

(chap-{slug})=
# {title}

Say what the chapter is about, and why it matters.

{imports}
(sec-{slug}-idea)=
## The Idea

State the idea in words, then as a formula, and introduce every symbol:

$$
\\mathbf{{y}} = [\\mathbf{{x}}, 2\\mathbf{{x}}].
$$ (eq-{slug})

Here $\\mathbf{{x}}$ is a vector, and the brackets concatenate.

(sec-{slug}-block)=
## The Smallest Block

By {{eq}}`eq-{slug}`, the output has twice as many columns as the input: $3 + 3 = 6$.
Say what a cell should show, then show it.

{blocks}
(sec-{slug}-summary)=
## Summary

- One sentence for each point to remember.

(sec-{slug}-exercises)=
## Exercises

1. How many columns does the output have for an input with 5?

+++ {{"tags": ["solution"]}}

Twice as many, by {{eq}}`eq-{slug}`:

```{{code-cell}}
---
tags: [solution]
expect: 10
---
2 * 5
```
"""


def write(root: Path, title: str) -> Path:
    """Write the skeleton of a chapter called `title`; return its path."""
    title = " ".join(title.split())
    slug = _slug(title)
    if not slug or files.UNSEEN.search(title):
        raise BookError(
            "a title must have a letter from a to z, or a digit, and no invisible "
            f"characters, got {title!r}"
        )
    folder = root / "chapters"
    paths = sorted(folder.glob("[0-9][0-9]-*.md"))
    for path in paths:
        if path.stem[3:] == slug:
            raise BookError(
                f"{path.relative_to(root)} already has this name: choose another title, "
                "or delete that file"
            )
    number = 1 + int(paths[-1].stem[:2] if paths else 0)
    if number > 99:
        raise BookError("chapter numbers end at 99, which is taken: renumber them")
    path = folder / f"{number:02}-{slug}.md"
    cells = {
        name: (_cell(i, name), _cell(b, name, e)) for name, (i, b, e) in CODE.items()
    }
    imports = "\n".join(first for first, _ in cells.values())
    blocks = "\n".join(second for _, second in cells.values())
    text = SKELETON.format(title=title, slug=slug, imports=imports, blocks=blocks)
    files.write(path, text)
    return path


def _slug(title: str) -> str:
    """The title as a file name: ß becomes ss, ø becomes o, æ becomes ae."""
    words = re.sub(r"\W+", " ", title.casefold().translate(FOLDED))
    # An id begins with a letter, but a title may begin with a number.
    return make_id(f"x {words}").removeprefix("x").strip("-")


def _cell(source: str, backend: str, expect: str | None = None) -> str:
    """A code cell for one framework."""
    stated = f'expect: "{expect}"\n' if expect else ""
    return f"```{{code-cell}}\n---\ntags: [{backend}]\n{stated}---\n{source}\n```\n"
