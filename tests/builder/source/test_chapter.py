"""Chapters that break a rule: one error each, with file, line and remedy."""

import re
import shutil

import pytest

from builder.errors import BookError
from builder.source import reader
from builder.source.book import Book

GOOD = """\
(chap-tiny)=
# Tiny

Text about {numref}`fig-box`, {eq}`eq-sum`, {cite:p}`lin2014network`.

:::{figure} img/box.svg
:name: fig-box
:alt: A box.

A box.
:::

$$
a + b
$$ (eq-sum)

```{code-cell}
---
tags: [torch]
---
x = 1
```

+++ {"tags": ["jax"]}

Text for JAX.

```{code-cell}
:tags: [jax, export]

def double(x):
    return 2 * x
```

```{code-cell}
---
expect: "3"
alt: A plot.
---
print(3)
```
"""


@pytest.fixture
def write(tmp_path, root):
    """Make a book of one chapter with the given text, and read it."""

    def make(text):
        folder = tmp_path / "chapters"
        (folder / "img").mkdir(parents=True, exist_ok=True)
        (folder / "01-tiny.md").write_text(text)
        (folder / "img" / "box.svg").write_text("<svg/>")
        shutil.copy(root / "chapters" / "references.bib", folder)
        return Book(tmp_path)

    return make


def test_a_good_chapter(write):
    book = write(GOOD)
    [tiny] = book.chapters
    kinds = [(cell.kind, cell.backends, cell.line) for cell in tiny.cells]
    everyone = ("torch", "mxnet", "jax", "tensorflow")
    assert kinds == [
        ("markdown", everyone, 1),
        ("code", ("torch",), 21),
        ("markdown", ("jax",), 26),
        ("code", ("jax",), 31),
        ("code", everyone, 40),
    ]
    assert tiny.cells[4].expect == dict.fromkeys(everyone, "3")
    assert tiny.cells[4].alt == "A plot."
    numbers = {name: label.number for name, label in book.labels.items()}
    assert numbers == {"chap-tiny": "1", "fig-box": "1.1", "eq-sum": "1.1"}


BROKEN = {
    # what is wrong: (text, its replacement, line of the error, words of the message)
    "unknown tag": ("[torch]", "[pytorch]", 17, "unknown tag 'pytorch': choose from"),
    "tags are no list": ("[torch]", "torch", 17, "tags must be a list"),
    "unclosed code cell": ("x = 1\n```\n", "x = 1\n", 17, "never closed"),
    "unclosed last cell": ("print(3)\n```\n", "print(3)\n", 35, "never closed"),
    "unclosed directive": ("A box.\n:::", "A box.\n", 6, "never closed"),
    "options no YAML": ("tags: [torch]", "tags: [torch", 17, "options are not valid"),
    "options no mapping": ("tags: [torch]", "- torch", 17, "options are not valid"),
    "tolerance of what": (
        "tags: [torch]",
        "tolerance: 0.5",
        17,
        "tolerance is for the numbers in expect",
    ),
    "tolerance no number": (
        "tags: [torch]",
        "expect: 3\ntolerance: -1",
        17,
        "tolerance must be a number such as 0.5 or 1%, got '-1'",
    ),
    "unknown option": (
        "tags: [torch]",
        "tag: [torch]",
        17,
        "unknown cell option 'tag'",
    ),
    "bad markdown tags": ('{"tags": ["jax"]}', '{"tags"}', 24, "options are not valid"),
    "cell's options no JSON": (
        '{"tags": ["jax"]}',
        "solution",
        24,
        r'not valid \(Expecting value\): .* such as `\+\+\+ \{"tags": ',
    ),
    "cell's options no mapping": (
        '{"tags": ["jax"]}',
        '["jax"]',
        24,
        r"not valid \(\[.jax.\] is not a mapping\): write them as JSON",
    ),
    "cell in a directive": (
        "\nA box.\n:::",
        '\n+++ {"tags": ["jax"]}\n\nA box.\n:::',
        10,
        "a cell begins inside the directive of line 6",
    ),
    "options of no cell": (
        '+++ {"tags": ["jax"]}',
        '+++ {"tags": ["jax"]}\n\n+++',
        24,
        "are for a text cell, but none follows",
    ),
    "options before code": (
        "```{code-cell}",
        '+++ {"tags": ["solution"]}\n\n```{code-cell}',
        17,
        r"are for a text cell, but none follows: .*`:tags: \[solution\]`",
    ),
    "expect for another": ('expect: "3"', "expect: {tf: 3}", 40, "expect names 'tf'"),
    "duplicate label": ("(chap-tiny)=", "(eq-sum)=", 13, "already used at chapters/01"),
    "unknown citation": ("lin2014network", "lin2041", 4, "unknown citation 'lin2041'"),
    "unknown label": ("{eq}`eq-sum`", "{eq}`eq-sun`", 4, "unknown label 'eq-sun'"),
    "unknown role": ("{eq}`eq-sum`", "{equ}`eq-sum`", 4, "unknown role 'equ'"),
    "unknown directive": ("{figure}", "{picture}", 6, "unknown directive 'picture'"),
    "directive in backticks": (":::{figure}", "```{figure}", 6, "never closed|colons"),
    "figure without a space": (
        "{figure} img",
        "{figure}img",
        6,
        "has no name: .* with a space",
    ),
    "figure without alt": (":alt: A box.\n", "", 6, "has no alternative text"),
    "image without alt": ("Text about", "![](img/box.svg)", 4, "no alternative text"),
    "figure without caption": ("\nA box.\n:::", "\n:::", 6, "has no caption"),
    "missing image": (
        "box.svg",
        "bax.svg",
        6,
        "there is no image chapters/img/bax.svg",
    ),
    "missing image in prose": (
        "Text about",
        "![A box.](img/bax.svg)",
        4,
        "there is no image chapters/img/bax.svg",
    ),
    "missing image whose description has brackets": (
        "Text about",
        "![A [nice] box.](img/bax.svg)",
        4,
        "there is no image chapters/img/bax.svg",
    ),
    "second title": ("Text about", "# More", 4, "a chapter has one title: make this a"),
    "level skipped": ("Text about", "#### More", 4, "cannot follow one of level 1"),
    "heading for one": ("Text for JAX.", "## For JAX", 26, "has no heading: move it"),
    "before the title": (
        "(chap-tiny)=",
        "$$\na\n$$ (eq-a)\n\n(chap-tiny)=",
        1,
        "below",
    ),
    "footnote": ("Text about", "Text[^1] about", 4, "notebooks show no footnotes"),
    "broken table": (
        "Text about",
        ":::{table} X\n\n| a | `b|c` |\n|---|---|\n| 1 | 2 |\n:::\n\nText about",
        4,
        "one table and nothing else",
    ),
    "struck text": (
        "Text about",
        "~~Text~~ about",
        4,
        "only notebooks strike text out",
    ),
    "task": ("Text about", "- [x] Text", 4, "only notebooks show boxes to tick"),
    "definition list": ("Text about", "Term\n: x", 4, "show no definition lists"),
    "image in HTML": ("Text about", '<img src="img/box.svg">', 4, "do not show <img>"),
    "label in attributes": ("Text about", "{#sec-x}\n## X\n", 4, "is not a label here"),
    "link within": (
        "Text about",
        "[Text](#chap-tiny)",
        4,
        "leads nowhere in notebooks",
    ),
    "far address": (
        "Text for JAX.",
        "See [x][far].\n\n+++\n\n[far]: https://example.org",
        26,
        r"the address of \[x\]\[far\] is in another cell",
    ),
    "address given twice": (
        "Text for JAX.",
        "[x][x]\n\n[x]: https://a.org\n\n[x]: https://b.org",
        30,
        "already given on line 28",
    ),
    "unknown figure's option": (":alt:", ":atl:", 6, r"in :::\{figure\}: .*atl"),
    "table without caption": (
        "Text about",
        ":::{table}\n:name: tab-x\n| a |\n|---|\n:::\n\nText",
        4,
        "a table without a caption has no number",
    ),
    "formula without an end": (
        "Text for JAX.",
        "$$\na\n\n## B\n\n$$ b $$",
        26,
        "a formula has no empty line",
    ),
    "environment in a formula": (
        "Text for JAX.",
        "$$\n\\begin{align}\na\n\\end{align}\n$$",
        26,
        r"print shows no \\begin{align} inside of a formula: write \\begin{aligned}",
    ),
    "equation in a formula": (
        "Text for JAX.",
        "$$\\begin{equation*}a\\end{equation*}$$",
        26,
        r"print shows no \\begin{equation\*} inside of a formula: remove it",
    ),
    "stroke in a formula in a table": (
        "Text for JAX.",
        "| a |\n|---|\n| $P(a \\| b)$ |",
        28,
        r"not every viewer reads this formula alike: .* in a formula as \\mid",
    ),
    "stroke between cells": (
        "Text for JAX.",
        "| a | b |\n|---|---|\n| $|x|$ | c |",
        28,
        "a row of 4 cells below 2 headings",
    ),
    "stroke in a heading": (
        "Text for JAX.",
        "One.\n\n> | a | `b|c` |\n> |---|---|\n> | 1 | 2 |",
        28,
        "a table has as many",
    ),
    "row too long": (
        "Text for JAX.",
        ":::{table} T\na | b\n---|---\n1 | 2 | 3\n:::",
        29,
        "a row of 3 cells below 2 headings",
    ),
    "remark without a text": (
        "Text for JAX.",
        ":::{note} A title\n:::",
        26,
        "this note has no text: write it below",
    ),
    "text in a table": (
        "Text for JAX.",
        ":::{table} T\n| a |\n|---|\n\nMore.\n:::",
        26,
        "holds one table and nothing else",
    ),
    "label of nothing, twice": (
        "Text for JAX.",
        "(fig-box)=\n% x\n\nText",
        26,
        "'fig-box' is already used at chapters/01-tiny.md:6",
    ),
    "remark behind a formula": (
        "Text for JAX.",
        "$$ x $$ (see there)",
        26,
        "a label is one word in Latin letters, got 'see there'",
    ),
    "label that Sphinx confuses": (
        "(chap-tiny)=",
        "(Eq.Sum)=",
        13,
        "already used at chapters/01-tiny.md:1: .*differs by more than case",
    ),
    "wrong kind of reference": (
        "{eq}`eq-sum`",
        "{eq}`fig-box`",
        4,
        "which is of the kind figure: write {numref}`fig-box`",
    ),
    "reference to one framework": (
        "Text for JAX.",
        "$$\na\n$$ (eq-jax)\n\n+++\n\n{eq}`eq-jax`",
        32,
        "chapters/01-tiny.md:26, which readers of torch, mxnet, tensorflow do not have",
    ),
    "title with a reference": (
        "Text for JAX.",
        "{ref}`sec-x`\n\n+++\n\n(sec-x)=\n## As {eq}`eq-sum`",
        26,
        "the title of 'sec-x' has references",
    ),
    "code cell in a list": (
        "Text for JAX.",
        "- ```{code-cell}\n  x\n  ```",
        26,
        "a code cell is a block by itself",
    ),
    "line across a quote": (
        "Text about",
        "> a\n>\n> ***\n",
        6,
        "a line across the page",
    ),
    "unknown label on a slide": (
        "Text for JAX.",
        'x\n\n+++ {"tags": ["slide"]}\n\n{eq}`eq-sun`',
        30,
        "unknown label 'eq-sun'",
    ),
    "cell in a list": ("Text for JAX.", "- +++", 26, "begins inside a list or quote"),
    "directive in one as short": (
        "Text for JAX.",
        ":::{note}\n:::{tip}\nx\n:::\n:::",
        26,
        "or make it longer than the one inside it, on line 27",
    ),
    "no title": ("# Tiny", "Tiny", 1, "begin with a title"),
    "no Python": ("x = 1", "x = = 1", 21, "not valid Python"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_chapter(write, case):
    old, new, line, message = BROKEN[case]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    with pytest.raises(BookError) as error:
        write(text)
    assert re.match(rf"chapters/01-tiny\.md:{line}: .*({message})", str(error.value))


def test_tables_may_hold_formulas_and_strokes(write):
    rows = (
        "| $x_1$ | a\\|b |\n|---|---|\n| $a \\mid b$ |\n| `a\\|b` | $\\Vert$ |\na | b"
    )
    write(GOOD.replace("Text for JAX.", f"> {rows}".replace("\n", "\n> ")))
    write(GOOD.replace("Text for JAX.", "Of $\\|x\\|$ and $|x|$.\n\n> $|x\n> |$ |"))


def test_code_in_prose_is_no_reference(write):
    write(GOOD.replace("Text about", "Write ``{eq}`x` `` or `![](y)`:"))


def test_two_chapters_of_one_number(tmp_path):
    (tmp_path / "chapters").mkdir()
    for name in ("04-a", "04-b"):
        (tmp_path / "chapters" / f"{name}.md").write_text("# T\n")
    with pytest.raises(
        BookError, match=r"number 04, chapters/04-a.md and chapters/04-b"
    ):
        Book(tmp_path)


def test_no_chapter(tmp_path):
    (tmp_path / "chapters").mkdir()
    with pytest.raises(BookError, match="has no chapters"):
        Book(tmp_path)


def test_a_badly_named_chapter(tmp_path):
    path = tmp_path / "1-tiny.md"
    path.write_text(GOOD)
    with pytest.raises(BookError, match=r"1-tiny.md:1: .*named NN-name.md"):
        reader.read(path, tmp_path)
