"""Chapters of random pieces: notebooks, site, PDF and EPUB agree, or a line is refused."""

import re
import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from shared import agreement

from builder.errors import BookError
from builder.notebooks import stale
from builder.publishing import epub, pdf, xelatex

FIGURE = ":::{{figure}} img/a.svg\n{options}:alt: {alt}\n\n{caption}\n:::"
DESCRIPTIONS = (
    "A.",
    "Of [x, y] and a_1 * b_2 * c.",
    "An `x",
    "Of {eq}`a`, <b> and $5.",
)
ROLES = ("eq", "numref", "ref", "cite:p", "cite:t", "equ")
TAGS = ("torch", "jax", "solution", "exercise")
WORDS = (
    "some words",
    "*words* of `code`",
    "$a_1 + b$",
    "$a$ of 1",
    "$5 and $10",
    "$$5 or $$10",
    "costs $ 5",
    "`$$` and ``{eq}`x` ``",
    "`a$5`",
    "a \\$ b",
    "[text](https://example.org)",
    "<https://example.org/$x>",
    "[text]{.mark}",
    "`code`{.mark}",
    "x<!-- no {eq}`x` -->y",
    "a\\\nb",
    "a <br> b",
    "$$x$$",
    "$$x$$ (see there)",
    "\\{eq}`x`",
    "![An image](img/a.svg)",
    "![Wide](img/a.svg){width=3em}",
    '![Two words](<img/b c.svg> "Title")',
    "a ![An image](<img/b c.svg>) b",
)
RARE_WORDS = (
    "word[^1]",
    "[here](#there)",
    "[page](02-c.md)",
    "{doc}`x`",
    "![](img/a.svg)",
)
BLOCKS = (
    "% a comment\n% $$x$$ (eq-old)",
    "<!-- a comment\n\n## Old\n\n$$x$$ (eq-old)\n-->",
    "~~~\n## Code\n\n$$x$$ (eq-old)\n~~~",
    "```python\n# {eq}`x`\nf'$$'\n```",
    "    ## Code\n    $$x$$ (eq-old)",
    "{.wide}",
    "![An image][pic]\n\n[pic]: img/a.svg 'Title'",
    "[A link][far].\n\n[far]: https://example.org",
    "| a | b |\n|---|---|\n| {words} | {ref} |",
    "- {words}\n- {ref}\n  {words}",
    "* {ref}\n\n  > {words}\n  > {ref}",
    "1. {ref}\n\n   {words}\n2. {words}",
    "> {words}\n> {ref}",
    "$$\na\n$$",
    "$$ b $$",
    "{words}\n$$\na\n$$\n{words}",
    ":::{{table}}\n| a |\n|---|\n| {words} |\n:::",
)
RARE_BLOCKS = (
    "Term\n: What it means.",
    "[^1]: A footnote.",
    "<img src='img/a.svg'>",
    "### {words}",
    "# {words}",
    "```{{note}}\n{words}\n```",
    ":::\n{words}\n:::",
    ":::{{note}}\n:::{{tip}}\n{words}\n:::\n:::",
    "- +++\n",
    "some words\n\n***\n\nwords",
    ":::{{figure}} img/a.svg\n:alt: A.\n:::",
    ":::{{figure}} img/missing.svg\n:alt: A.\n\n{words}\n:::",
)
LABELLED = {
    "eq": (
        "$$\n{math}\n$$ ({label})",
        "$$ {math} $$ ({label})",
        "$${math}$$ ({label})",
    ),
    "fig": (
        ":::{{figure}} img/a.svg\n:name: {label}\n:alt: {alt}\n\n{words} {ref}\n:::",
        ":::{{figure}} img/a.svg\n---\nname: {label}\nalt: A.\n---\n{words}\n\n{ref}\n:::",
        "({label})=\n:::{{figure}} img/a.svg\n:alt: {alt}\n\n{words}\n:::",
        ":::{{figure}} img/a.svg\n:alt: {alt}\n\n{words}\n:::",
    ),
    "tab": (
        ":::{{table}} {line}\n:name: {label}\n| a |\n|---|\n| {ref} |\n:::",
        ":::{{table}} {line}\n| a |\n|---|\n| b |\n:::",
        "({label})=\n:::{{table}} {line}\n| a |\n|---|\n| b |\n:::",
    ),
    "sec": (
        "({label})=\n## {line}",
        "({label})=\n   ## {line} ##",
        "({label})=\n{line}\n---",
        "({label})=\n\n### {line}",
        "({label})=\n% a comment\n## {line}",
        "{{#{label}}}\n## {line}",
    ),
}
AROUND = (
    ("", ""),
    ("", ""),
    ("> ", "> "),
    ("- ", "  "),
    ("1. x\n\n   ", "   "),
    ("::::::{note}\n", ""),
    ("::::::{tip} At once\n", ""),
)
SEPARATORS = ("-", "_", ":", ".", "-A") * 10 + (" ",)


@pytest.fixture(autouse=True)
def _no_code(monkeypatch):
    """Notebooks of prose alone: no code whose hash would be needed."""
    monkeypatch.setattr(stale, "code_hash", lambda *_: "")


@st.composite
def chapter(draw, place):
    """The text of a chapter, whose references are marked."""
    wanted = [
        (kind, f"{kind}{draw(st.sampled_from(SEPARATORS))}{place}{count}")
        for count in range(draw(st.integers(1, 5)))
        for kind in [draw(st.sampled_from(list(LABELLED)))]
    ]
    labels = {
        kind: [name for other, name in wanted if other == kind] or ["no-label"]
        for kind in LABELLED
    }
    marks = iter(range(1000))

    def reference():
        role = draw(st.sampled_from(ROLES[:5] * 20 + ROLES))
        if role.startswith("cite"):
            keys = st.lists(
                st.sampled_from(("one", "two", "three")), min_size=1, max_size=3
            )
            target = ",".join(draw(keys))
        else:
            kinds = {"eq": ["eq"], "numref": ["fig", "tab", "sec"]}.get(
                role, ["sec", "fig"]
            )
            known = [
                name for kind in kinds for name in labels[kind] if name != "no-label"
            ]
            target = draw(st.sampled_from(known or ["one"]))
            role = role if known else "cite:t"
            if role == "ref" and draw(st.booleans()):
                target = f"own words <{target}>"
        return f"Q{next(marks)}:{{{role}}}`{target}`:Q"

    def filled(text, label=""):
        line = draw(st.sampled_from([words for words in WORDS if "\n" not in words]))
        return text.format(
            label=label,
            line=line,
            words=draw(st.sampled_from(WORDS * 20 + RARE_WORDS)),
            math=draw(st.sampled_from(("x", "x <\n y", "x > 1"))),
            alt=draw(st.sampled_from(DESCRIPTIONS)),
            ref=reference(),
        )

    def block():
        text = draw(st.sampled_from(BLOCKS * 15 + RARE_BLOCKS))
        return filled(text) if "{words}" in text or "{ref}" in text else text

    blocks = [
        filled(draw(st.sampled_from(LABELLED[kind])), name) for kind, name in wanted
    ]
    blocks += [block() for _ in range(draw(st.integers(0, 4)))]
    blocks += [reference() for _ in range(draw(st.integers(1, 4)))]
    blocks = draw(st.permutations(blocks))
    parts = [f"# Title {place}"]
    for text in blocks:
        first, others = draw(st.sampled_from(AROUND))
        if ")=" in text and "## " in text or "---" in text:
            first, others = "", ""
        inside = "\n".join(
            f"{others}{line}".rstrip() if i else line
            for i, line in enumerate(text.split("\n"))
        )
        end = "\n::::::" if first.startswith(":::") else ""
        tags = draw(st.sampled_from(("",) * 8 + TAGS))
        if tags:
            parts += [f'+++ {{"tags": ["{tags}"]}}', f"{first}{inside}{end}", "+++"]
        else:
            parts.append(f"{first}{inside}{end}")
    parts.append(":::{bibliography}\n:filter: docname in docnames\n:::")
    return "\n\n".join(parts) + "\n"


@st.composite
def chapters(draw, count):
    """The texts of `count` chapters, by name; the numbers of their files have gaps."""
    return {
        f"{2 * place:02}-c": draw(chapter(f"c{place}")) for place in range(1, count + 1)
    }


def check(texts, root):
    """Compare every form of a book of those `texts` that no rule refuses."""
    good, refused = {}, {}
    for name, text in texts.items():
        try:
            agreement.write(root / "one", {name: text})
            good[name] = text
        except BookError as error:
            refused[name] = str(error)
    for name, message in refused.items():
        found = re.match(rf"chapters/{name}\.md:(\d+): ", message)
        assert found, message
        assert int(found[1]) <= texts[name].count("\n") + 1
    if not good:
        return 0
    book = agreement.write(root / "book", good)
    numbers = agreement.ours(book)
    for backend, solutions in ((None, True), ("torch", True), ("jax", False)):
        made = agreement.pages(book, backend, solutions)
        warned, site = agreement.sphinx(book, root / "work", made)
        assert not warned, warned
        for place, chapter in enumerate(book.chapters, 1):
            page = site[chapter.stem]
            shown = agreement.notebook(book, chapter, backend or "torch")
            shown |= {"title": chapter.title, "number": str(place)}
            shown["labels"] = numbers[chapter.stem]
            if backend:  # a page for one framework has only some
                own = shown["labels"]
                shown["labels"] = {key: own.get(key) for key in page["labels"]}
            if not (backend and solutions):
                del shown["images"], shown["works"]
                own = shown["marked"]
                shown["marked"] = page["marked"] | {
                    key: text for key, text in own.items() if key in page["marked"]
                }
            for what, value in shown.items():
                if what != "text":
                    text = f"{backend}: {what}\n{page[what]}\n{value}\n{chapter.text}"
                    assert page[what] == value, text
    return len(good)


PRINTED = """\
# One

:::{figure} img/a.svg
:name: fig-a
:alt: A.

Shown: a
:::

+++ {"tags": ["jax"]}

:::{figure} img/a.svg
:name: fig-b
:alt: A.

Shown: b
:::

$$b$$ (eq-b)

:::{table} Shown: b
:name: tab-b
| x |
|---|
| y |
:::

+++ {"tags": ["solution"]}

$$c$$ (eq-c)

+++

::::{note}
:::{figure} img/a.svg
:alt: A.

Shown: d
:::

$$e$$ (eq:e)
::::

:::{table} Shown: e
:name: tab.e
| x |
|---|
| y |
:::

## Section

### Part

(sec-f)=
### Part

Q1:{numref}`fig-a` {eq}`eq:e` {numref}`tab.e` {numref}`sec-f` $5 or $10:Q
"""
SHOWN = ["Figure 1.1 a", "Figure 1.3 d", "Table 1.2 e"]


def assert_printed(text):
    text = " ".join(text.split())
    numbers = "Figure 1.1 (1.3) Table 1.2 Section 1.1.2 $5 or $10"
    assert re.findall("Q1:(.*?):Q", text) == [numbers]
    shown = re.findall(r"(Figure|Table) ([\d.]+\d)\.? Shown: (\w)", text)
    assert sorted(" ".join(words) for words in shown) == SHOWN


@pytest.mark.slow
def test_print_agrees(tmp_path):
    book = agreement.write(tmp_path, {"04-one": PRINTED})
    (tmp_path / "chapters" / "img" / "b c.svg").unlink()
    made = agreement.pages(book, "torch", solutions=False)
    marked = agreement.notebook(book, book.chapters[0], "torch")["marked"]
    assert_printed(
        f"Q1:{marked['1']}:Q " + " ".join(f"{s[:-1]}Shown: {s[-1]}" for s in SHOWN)
    )
    out = tmp_path / "_build" / "epub" / "torch.epub"
    epub.build(tmp_path, out, made, "torch")
    with zipfile.ZipFile(out) as archive:
        assert_printed(re.sub("<[^>]*>", "", archive.read("04-one.xhtml").decode()))
    if any(shutil.which(name) is None for name in (*xelatex.PROGRAMS, "pdftotext")):
        pytest.skip("TeX or poppler-utils is not installed")
    out = tmp_path / "_build" / "pdf" / "torch.pdf"
    pdf.build(tmp_path, out, made, "torch")
    command = ["pdftotext", str(out), "-"]
    assert_printed(subprocess.run(command, capture_output=True, text=True).stdout)


@settings(
    max_examples=2,
    derandomize=True,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(chapters(8))
def test_all_forms_agree(texts):
    with tempfile.TemporaryDirectory() as folder:
        check(texts, Path(folder))


TYPED = (
    "\"Quoted\" and 'single', it's the students', the '80s.",
    "a--b, a -- b, a---b, ----, -----, a - b",
    "and so on... or. . . or ....",
    '("so") ["so"] -\'so\'- "\'nested\' quotes" "$x$" "`x`" \'$x$\'s',
    '"*emphasis*" and *"inside"*, **"bold"** "**bold**"',
    "\\\"escaped\\\" &quot;entity&quot; \\-\\- \\'x\\' &amp;&#39;",
    '"[a link](https://example.org "title")" and [it\'s "one"](https://a.org)',
    'before <b>"x"</b> "<i>y</i>" a<br>"z"',
    '`"code" -- ...` and $f\'(x)$ and $5 "or" $10',
    '"{ref}`sec-a`" and {ref}`own "words" <sec-a>` and "{eq}`eq-a`" {cite:t}`one`\'s',
    '<https://example.org/a--b...> "x"',
    'one\\\n"two"\n"three"\n\'four\'',
    '![a "b"](img/a.svg)"x" [span "x"]{.y}',
    'x<!-- "y" -->\'s "z"',
    '2 * 3 "x" * \'y\' _"z"_',
)


def without_html(marked):
    html = r"<[^>]*>|\\(textbf|emph)\{|\}|\\leavevmode\\newline\{|\\\\"
    texts = {
        n: re.sub(html, "", text.replace("<br", " <br")) for n, text in marked.items()
    }
    return {n: " ".join(text.split()) for n, text in texts.items()}


def test_typographic_characters_agree(tmp_path):
    marked = [f"Q{n}: {text} :Q" for n, text in enumerate(TYPED)]
    row = "| Q90: \"a\\|b\" -- 'c':Q | d |"
    blocks = [
        *marked,
        f"| a | b |\n|---|---|\n{row}\n| Q91:'e'... `\\|` \"f\":Q | g |",
        '> - Q92:"so\n>   it\'s" --\n>   ...:Q',
        ':::{note} Q93:A "title":Q\nQ94:It\'s:Q\n:::',
        ':::{figure} img/a.svg\n:alt: A.\n\nQ95:The "caption":Q\n:::',
        ':::{table} Q96:"Rows" --:Q\n| a |\n|---|\n:::',
        '(sec-a)=\n## It\'s "A" -- Section...',
        "$$f'$$ (eq-a)",
        ":::{bibliography}\n:filter: docname in docnames\n:::",
    ]
    book = agreement.write(tmp_path, {"01-a": "# T\n\n" + "\n\n".join(blocks)})
    warned, site = agreement.sphinx(book, tmp_path / "work", agreement.pages(book))
    assert not warned
    shown = agreement.notebook(book, book.chapters[0], "torch")["marked"]
    shown, wanted = map(without_html, (shown, site["01-a"]["marked"]))
    assert shown == wanted
    assert shown["0"] == "“Quoted” and ‘single’, it’s the students’, the ’80s."
    assert shown["1"] == "a–b, a – b, a—b, —-, —–, a - b"
    assert shown["7"].startswith("before “x” “y” a")
    assert "own “words”" in shown["9"]
    assert shown["90"] == "“a|b” – ‘c’"
    assert len(shown) == len(TYPED) + 7
