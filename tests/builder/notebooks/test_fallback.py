"""Outputs that not every form of the book can show."""

import pytest
from nbformat.v4 import new_output

from builder.notebooks import fallback, run
from builder.publishing import tabs

OBJECT = "<IPython.core.display.HTML object>"
ANIMATION = "<matplotlib.animation.FuncAnimation at 0x7f12a0>"
WIDGET = "application/vnd.jupyter.widget-view+json"
CHART = "application/vnd.vegalite.v5+json"
NOWHERE = "no form of the book can show"
NOT_IN_PRINT = "print cannot show"


def shows(data):
    return new_output("display_data", data=data)


@pytest.mark.parametrize(
    "data",
    [
        {"text/plain": "7"},
        {"text/plain": OBJECT},  # nothing is lost
        {"text/plain": "<Figure size 1 with 1 Axes>", "image/svg+xml": "<svg/>"},
        {"text/plain": "<Figure size 1 with 1 Axes>", "image/png": "aGk="},
        {"image/jpeg": "aGk="},
        {"text/plain": "   a\n0  1", "text/html": "<table></table>"},  # of pandas
        {"text/plain": "<IPython.core.display.Markdown object>", "text/markdown": "x"},
    ],
)
def test_what_every_reader_sees(data):
    assert fallback.problem(shows(data)) == ""
    assert fallback.readable(shows(data)) == shows(data)


@pytest.mark.parametrize(
    ("data", "reason", "text"),
    [
        ({"application/json": {"a": [1]}}, NOWHERE, '{\n "a": [\n  1\n ]\n}'),
        (
            {
                "application/json": [],
                "text/plain": "<IPython.core.display.JSON object>",
            },
            NOWHERE,
            "[]",
        ),
        (
            {WIDGET: {"model_id": "1"}, "text/plain": "IntSlider(value=0)"},
            NOWHERE,
            "IntSlider(value=0)",
        ),
        ({CHART: {}, "text/plain": "alt.Chart(...)"}, NOWHERE, "alt.Chart(...)"),
        ({CHART: {}}, NOWHERE, "(shown in the notebook only)"),
        (
            {
                "application/javascript": "1",
                "text/plain": "<IPython.core.display.Javascript object>",
            },
            NOWHERE,
            "(shown in the notebook only)",
        ),
        (
            {"text/html": "<script>1</script>", "text/plain": OBJECT},
            NOT_IN_PRINT,
            "(shown on the site only)",
        ),
        (
            {"text/html": "<video></video>", "text/plain": ANIMATION},
            NOT_IN_PRINT,
            "(shown on the site only)",
        ),
        (
            {"image/gif": "aGk=", "text/plain": "<IPython.core.display.Image object>"},
            NOT_IN_PRINT,
            "(shown on the site only)",
        ),
    ],
)
def test_what_some_readers_do_not_see(data, reason, text):
    output = shows(data)
    assert reason in fallback.problem(output)
    shown = fallback.readable(output)
    assert shown.data["text/plain"] == text
    assert {*shown.data} <= {"text/plain", "text/html", "image/gif"}
    assert output == shows(data)  # the recording is what the kernel showed


TYPESET = {
    # what code shows: (its type, what MyST has in its place)
    "formula": ("latex", "$\\displaystyle x$", "$$\n\\displaystyle x\n$$"),
    "brackets": ("latex", "\\[x\n\ny\\]", "$$\nx\ny\n$$"),
    "equation": (
        "latex",
        "\\begin{equation}\na\n\\end{equation}",
        "$$\na\n$$",
    ),
    "align": (
        "latex",
        "\\begin{align*}a&=b\\end{align*}",
        "$$\n\\begin{aligned}a&=b\\end{aligned}\n$$",
    ),
    "matrix": (
        "latex",
        "\\begin{pmatrix}1\\end{pmatrix}",
        "$$\n\\begin{pmatrix}1\\end{pmatrix}\n$$",
    ),
    "words": (
        "latex",
        "An *area*\n  of $ x_1 $, \\(y\\).",
        r"An \*area\* of $x_1$\, $y$\.",
    ),
    "no formula": ("latex", "\\begin{tabular}", r"\\begin\{tabular\}"),
    "markdown": ("markdown", "# A\n\n*b* $c$", "# A\n\n*b* $c$"),
    "nested": (
        "markdown",
        "Of\n\n$$\\begin{align}\na\n\\end{align}$$\n\n```\n\\begin{align}\n```",
        "Of\n\n$$\\begin{aligned}\na\n\\end{aligned}$$\n\n```\n\\begin{align}\n```",
    ),
    "bare": (
        "markdown",
        "\\begin{gather}\na\n\\end{gather}",
        "\n\n$$\n\\begin{gathered}\na\n\\end{gathered}\n$$\n\n",
    ),
}


@pytest.mark.parametrize("case", TYPESET)
def test_formulas_are_typeset_in_every_form(case):
    kind, written, shown = TYPESET[case]
    output = shows({f"text/{kind}": written, "text/plain": OBJECT})
    assert fallback.problem(output) == ""
    data = {"text/markdown": shown, "text/plain": OBJECT}
    assert fallback.readable(output).data == data


@pytest.mark.parametrize(
    "part",
    [
        "![A plot](plot.png)",
        "<div>",
        ":::{note}\nx\n:::",
        "{eq}`x`",
        "```{note}\nx\n```",
        "[x](#there)",
        "~~x~~",
        "(x)=",
        "% x",
        "$$x$$ (y)",
        "---",
    ],
)
def test_markdown_that_not_every_form_shows_is_its_source(part):
    output = shows({"text/markdown": f"One\n\n{part}\n\ntwo.", "text/plain": OBJECT})
    assert f"Markdown with '{part[:2]}" in fallback.problem(output)
    assert fallback.readable(output).data == {
        "text/plain": output.data["text/markdown"]
    }


CHAPTER = """\
# Shown

```{code-cell}
print("one")
```

```{code-cell}
from IPython.display import HTML, display
display({"application/json": {"a": 1}}, raw=True)
HTML("<script></script>")
```
"""


def test_a_run_tells_what_some_readers_will_not_see(tiny):
    (tiny.root / "chapters" / "01-tiny.md").write_text(CHAPTER)
    lines = []
    run.record(tiny.edition("torch"), progress=lines.append)
    [start, json, html, end] = lines
    assert json.startswith(
        "chapters/01-tiny.md:8: the torch cell shows application/json, which no form"
    )
    assert html.startswith(
        "chapters/01-tiny.md:8: the torch cell shows text/html, which print cannot show"
    )
    assert "one frame of an animation" in html
    assert tiny.stale() == set()
    page = tabs.single(tiny.edition("torch"))
    [first, second] = page.cells[-1].outputs
    assert first.data == {"text/plain": '{\n "a": 1\n}'}
    assert second.data["text/html"] == "<script></script>"
