"""A small book for tests of the forms: one of everything that merging produces."""

from base64 import b64encode
from struct import pack
from zlib import compress, crc32

from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from d2lext.core.frameworks import TITLES

REPOSITORY = "https://github.com/owner/name"

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="360" height="200" '
    'viewBox="0 0 360 200"><rect width="360" height="200" fill="#fff"/>'
    '<path d="M30 10V170H350" fill="none" stroke="#000"/>'
    '<path d="M30 30C90 140 200 150 350 155" fill="none" stroke="#17406d" '
    'stroke-width="3"/><text x="150" y="194" font-size="14">epoch</text></svg>'
)

CHAPTER = r"""
# Dense Blocks

## From sums to lists

A residual block adds $\mathbf{x}$, as in {eq}`sum` {cite:p}`He.ea.2016`;
{cite:t}`Huang.ea.2017` concatenate instead, as {numref}`drawing` shows.

$$
f(\mathbf{x}) = \mathbf{x} + g(\mathbf{x}),
\qquad \mathbf{x} \in \mathbb{R}^{n \times c \times h \times w}.
$$ (sum)

$$
\mathbf{x} \to \left[\mathbf{x}, f_1(\mathbf{x}), f_2([\mathbf{x}, f_1(\mathbf{x})]),
f_3([\mathbf{x}, f_1(\mathbf{x}), f_2([\mathbf{x}, f_1(\mathbf{x})])]), \ldots\right]
$$ (nested)

:::{figure} img/drawing.svg
:name: drawing
:alt: Two boxes with an arrow between them.

Addition beside concatenation.
:::

With $k$ channels from each of $L$ layers, {eq}`nested` has $c + kL$ channels.

| layer | output shape | parameters |
|---|---|---:|
| stem | (1, 64, 24, 24) | 3,264 |
| dense block 1, which has a long name | (1, 192, 24, 24) | 148,608 |
| transition 1 | (1, 96, 12, 12) | 18,912 |
""".strip()

CLOSING = r"""
## Summary

Concatenation keeps what earlier layers found.

```{note}
A note stands out, but quietly.
```

## References

""".lstrip()

BIBLIOGRAPHY = "```{bibliography}\n:filter: docname in docnames\n```"

FRONT = """\
# A Small Book

```{buttons}
```

## Its Chapters

```{chapters}
```

```{training-times}
```

```{citation}
```

```{toctree}
:hidden:
:numbered:
:glob:

[0-9]*
```
"""

REFERENCES = """
@inproceedings{Huang.ea.2017,
  author = {Huang, Gao and Liu, Zhuang and van der Maaten, Laurens
            and Weinberger, Kilian Q.},
  title = {Densely Connected Convolutional Networks},
  booktitle = {CVPR}, year = {2017}, pages = {4700--4708}}
@inproceedings{He.ea.2016,
  author = {He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian},
  title = {Deep Residual Learning for Image Recognition},
  booktitle = {CVPR}, year = {2016}, pages = {770--778}}
"""

CODE = '''class DenseBlock(nn.Module):
    """Convolutions, each of which reads what all earlier ones wrote."""

    def __init__(self, num_convs, num_channels):  # {title}
        super().__init__()
        self.net = [ConvBlock(num_channels) for _ in range(num_convs)]

    def forward(self, X):
        for block in self.net:
            X = cat((X, block(X)), axis=1)  # (n, c + k, h, w), whatever the framework
        return X'''


def png():
    """A 2x2 PNG in base64, as in notebooks."""

    def chunk(kind, data):
        return pack(">I", len(data)) + kind + data + pack(">I", crc32(kind + data))

    header = pack(">IIBBBBB", 2, 2, 8, 0, 0, 0, 0)
    pixels = compress(b"\0\0\xff\0\xff\0")
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def shown(data):
    """An output such as `plt.show()` leaves."""
    return new_output("display_data", data=data)


def code(source, *tags, outputs=()):
    """A code cell with tags and outputs."""
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def prose(source, *tags):
    """A Markdown cell; a tagged one is wrapped as merging wraps it."""
    if tags:
        source = f"::::{{container}} {' '.join(tags)}\n{source}\n::::"
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def notebook(text=CHAPTER):
    """A merged chapter: prose, one set of tabs after the other, a solution."""
    cells = [prose(text)]
    for name, title in TITLES.items():
        stream = new_output("stream", name="stdout", text=f"{title} runs\n")
        cells += [
            code(f"from d2lext import {name} as d2l", f"tab-{name}", outputs=[stream]),
            prose(f"In {title}, shapes are **checked**.", f"tab-{name}"),
            # Each of another length, so that a choice moves what is below.
            code(CODE.format(title=title) + "\n" * len(title), f"tab-{name}"),
        ]
    cells.append(prose("## Shapes\n\nWhat every framework prints:"))
    shape = new_output(
        "execute_result", data={"text/plain": "(4, 23, 8, 8)"}, execution_count=2
    )
    cells.append(code("DenseBlock(2, 10)(X).shape", outputs=[shape]))
    cells.append(prose("A plot and a picture:"))
    for name in TITLES:
        plot = shown({"image/svg+xml": SVG, "text/plain": "<Figure>"})
        cells.append(code(f"plot('{name}')", f"tab-{name}", outputs=[plot]))
    cells.append(prose("Only one framework has this to say:"))
    cells.append(prose("JAX compiles the step.", "tab-jax"))
    cells.append(prose("Prose parts two sets of tabs."))
    cells.append(code("show(image)", outputs=[shown({"image/png": png()})]))
    cells.append(prose("## Exercises\n\n1. How many channels after 4 layers?"))
    cells.append(prose("Count $c + 4k$ of them:", "solution"))
    for name in TITLES:
        cells.append(code(f"count('{name}')", "solution", f"tab-{name}"))
    cells.append(code("assert count == 23", "solution"))
    cells.append(prose(CLOSING + BIBLIOGRAPHY))
    return numbered(cells)


def numbered(cells):
    """A notebook of `cells` whose ids are the same each time."""
    for i, cell in enumerate(cells):
        cell.id = f"cell-{i}"
    return new_notebook(cells=cells)


def second():
    """A second chapter, which cites a work that the first one cites too."""
    cells = [
        prose("# One Network\n\nSee {cite:t}`He.ea.2016`.\n\n$$a = b$$ (later)"),
        *[code(f"import {name}", f"tab-{name}") for name in TITLES],
        prose("By {eq}`later`, all is well.\n\n" + BIBLIOGRAPHY),
    ]
    return numbered(cells)


def notebooks():
    """Each framework's notebook of the first chapter: a link to an image, and a cell."""
    drawing = "See ![boxes, [one] and two](../../chapters/img/drawing.svg) and more."
    return {
        "01-dense": {
            name: numbered([prose(drawing), code(f"from d2lext import {name} as d2l")])
            for name in TITLES
        }
    }


def for_one(pages, backend):
    """The pages without the cells of frameworks other than `backend`."""
    others = {f"tab-{name}" for name in TITLES if name != backend}
    for page in pages.values():
        cells = page.cells
        page.cells = [c for c in cells if not others & set(c.metadata.get("tags", []))]
    return pages


def write(root, text=CHAPTER, repository=REPOSITORY):
    """Write the book's files; returns its notebooks by name, `text` in the first."""
    chapters = root / "chapters"
    (chapters / "img").mkdir(parents=True, exist_ok=True)
    (chapters / "img" / "drawing.svg").write_text(SVG)
    (chapters / "references.bib").write_text(REFERENCES)
    (chapters / "book.toml").write_text(
        'title = "A Small Book"\nauthor = "A. Author"\nyear = 2026\n'
        + (f'repository = "{repository}"\n' if repository else "")
    )
    (chapters / "index.md").write_text(FRONT)
    pages = {"01-dense": notebook(text), "02-network": second()}
    for name, page in pages.items():
        cells = [cell.source for cell in page.cells]
        (chapters / f"{name}.md").write_text("\n\n".join(cells) + "\n")
    return pages
