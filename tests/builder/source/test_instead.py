"""Directives and roles that are refused: what their refusal says to write is accepted."""

import re

import pytest
from shared import agreement

from builder.errors import BookError

CHAPTER = "(sec-a)=\n# One\n\n$$\na\n$$ (eq-a)\n\n{written}\n"
DIRECTIVES = (
    *("math", "code", "code-block", "literalinclude", "image", "admonition", "danger"),
    *("seealso", "list-table", "csv-table", "epigraph", "rubric", "footbibliography"),
)
LANGUAGES = ("python", "bash", "json")
ROLES = (
    *("math", "code", "sub", "sup", "kbd", "emphasis", "strong", "doc", "eqref"),
    *("cite", "citep", "citet"),
)
INSIDE = {
    ":::{table}": "| x |\n|---|",
    ":::{bibliography}": ":filter: docname in docnames",
    ":::{figure}": ":alt: A.\n\nA caption.",
    "> ": "x",
}


def refusal(root, written):
    with pytest.raises(BookError, match=r"^chapters/01-a\.md:8: ") as caught:
        agreement.write(root, {"01-a": CHAPTER.format(written=written)})
    return str(caught.value)


def advice(message):
    """What the message says to write, filled in: one or more texts."""
    _, found, text = message.partition(": write ")
    assert found, message
    for part in re.split(r", or (?=[`:$])", text):
        example = re.sub(r" for (one|code) .*", "", part)
        start = next((s for s in INSIDE if example.startswith(s)), "")
        inside = INSIDE.get(start, "x")
        example = example.replace("img/file.svg", "img/a.svg").replace("key", "one")
        label = "eq-a" if example.startswith("{eq}") else "sec-a"
        example = re.sub(r"`label`", f"`{label}`", example).replace("(label)", "(eq-b)")
        if example == ":::{figure}":
            example += " img/a.svg … :::"
        example = example.replace("> …", "> x").replace(" … ", f"\n{inside}\n")
        yield example.replace("…", inside)


@pytest.mark.parametrize("name", DIRECTIVES)
@pytest.mark.parametrize("fence", ["```", ":::"])
def test_a_directive(tmp_path, fence, name):
    message = refusal(tmp_path, f"{fence}{{{name}}} x\ny\n{fence}")
    for text in advice(message):
        agreement.write(tmp_path, {"01-a": CHAPTER.format(written=text)})


@pytest.mark.parametrize("written", ["{figure} img/a.svg", "{note}", "{table} T"])
def test_backticks_around_a_directive(tmp_path, written):
    message = refusal(tmp_path, f"```{written}\ny\n```")
    assert f"goes between colons: write :::{written} … :::" in message
    for text in advice(message):
        agreement.write(tmp_path, {"01-a": CHAPTER.format(written=text)})


@pytest.mark.parametrize("name", LANGUAGES)
def test_a_language(tmp_path, name):
    for written in (f"```{{{name}}}\nx\n```", f"```{{.{name} .wide}}\nx\n```"):
        read, run = advice(refusal(tmp_path, written))
        assert read == f"```{name}\nx\n```"
        agreement.write(tmp_path, {"01-a": CHAPTER.format(written=f"{read}\n\n{run}")})


@pytest.mark.parametrize("name", ROLES)
def test_a_role(tmp_path, name):
    for text in advice(refusal(tmp_path, f"A {{{name}}}`x` here.")):
        agreement.write(tmp_path, {"01-a": CHAPTER.format(written=f"A {text} here.")})


def test_what_has_no_counterpart(tmp_path):
    assert "choose from figure, table" in refusal(tmp_path, ":::{mermaid}\nx\n:::")
    assert "choose from ref, numref" in refusal(tmp_path, "{abbr}`x`")
