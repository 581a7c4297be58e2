"""Drawings with steps and figures with scripts: what a chapter may show, and how."""

from xml.etree import ElementTree

import pytest
from shared import ROOT, small_book

from builder.errors import BookError
from builder.source import drawings, reader

FIGURE = """\
# Sums

:::{figure} img/sum.svg
:alt: A sum.
:script: img/sum.js

It.
:::
"""
PART = '<g data-step="{}">{}<path d="M0 0h9"/></g>'
TITLE = "<title>A  line\n<tspan>more</tspan>.</title>"


def drawing(*parts):
    """An SVG of `parts`, each a step and its title."""
    inside = "".join(PART.format(step, title) for step, title in parts)
    start = f'<svg xmlns="{drawings.SVG[1:-1]}" aria-labelledby="a b">'
    return f'{start}<title id="a">T</title><desc id="b">D</desc>{inside}</svg>'


def refusal(root, text=FIGURE, svg=small_book.DRAWING, script="", encoding="utf-8"):
    """The message with which the book refuses the chapter."""
    folder = root / "chapters" / "img"
    folder.mkdir(parents=True)
    (folder / "sum.js").write_bytes(script.encode(encoding))
    (folder / "sum.png").write_bytes((ROOT / "chapters/img/page.png").read_bytes())
    path = root / "chapters" / "01-sums.md"
    path.write_text(text)
    (folder / "sum.svg").write_text(svg)
    with pytest.raises(BookError) as caught:
        reader.read(path, root)
    return str(caught.value)


@pytest.mark.parametrize(
    ("svg", "told"),
    [
        ("<svg", "it is damaged, or no SVG (unclosed token"),
        (drawing((1, TITLE), (3, TITLE)), '1, 2, but one is data-step="3": number'),
        (drawing((0, TITLE)), '1, but one is data-step="0": number'),
        (drawing(("one", TITLE)), 'one is data-step="one": number'),
        (drawing((1, TITLE), (2, "")), "its step 2 does not say what it shows"),
        (drawing((1, "<title> </title>")), "its step 1 does not say what it shows"),
    ],
)
def test_a_drawing_that_cannot_build_up_is_refused_at_its_line(tmp_path, svg, told):
    text = "# Sums\n\nSee\n![a sum](img/sum.svg).\n"
    message = refusal(tmp_path, text, svg)
    assert message.startswith("chapters/01-sums.md:4: the image chapters/img/sum.svg")
    assert told in message


@pytest.mark.parametrize(
    ("old", "new", "script", "told"),
    [
        ("sum.js", "none.js", "", "there is no script chapters/img/none.js: add it"),
        ("img/sum.js", "sum.js", "", "beside the images, such as img/name.js, but"),
        ("sum.js", "sum.svg", "", "such as img/name.js, but this is img/sum.svg"),
        ("img/sum.js", "img/../../x.js", "", "beside the images"),
        ("sum.svg", "sum.png", "", "which img/sum.png has not: draw it as SVG"),
        (" img/sum.js", "", "", "in :::{figure}: "),
        ("", "", 'say("</SCRIPT>")', "</SCRIPT would end: write it with a backslash"),
        ("", "", "<!-- say", "<!-- would end"),
    ],
)
def test_a_script_that_no_page_can_have_is_refused(tmp_path, old, new, script, told):
    message = refusal(tmp_path, FIGURE.replace(old, new), script=script)
    assert message.startswith("chapters/01-sums.md:3: ")
    assert told in message


def test_a_script_that_is_no_text_is_refused(tmp_path):
    message = refusal(tmp_path, script="say()", encoding="utf-16")
    assert message.startswith("chapters/img/sum.js:1: the file must be in UTF-8")


@pytest.mark.parametrize("fragments", [False, True])
def test_a_page_has_the_drawing_with_its_own_description(tmp_path, fragments):
    file = tmp_path / "sum.svg"
    file.write_text(drawing((1, TITLE), (2, TITLE), (1, "")))
    assert drawings.fault(file) == ""
    root = ElementTree.fromstring(drawings.markup(file, "A <sum>", fragments=fragments))
    assert root.attrib == {"class": "drawing", "role": "img", "aria-label": "A <sum>"}
    assert [*root.iter(f"{drawings.SVG}title")] == []
    parts = root.findall(f"{drawings.SVG}g")
    assert [part.get("data-step") for part in parts] == ["1", "2", "1"]
    assert [part.get("data-title") for part in parts] == ["A line more."] * 2 + [None]
    classes = [None, "fragment" if fragments else None, None]
    assert [part.get("class") for part in parts] == classes


def test_a_picture_has_no_steps(tmp_path):
    file = tmp_path / "sum.svg"
    file.write_text(small_book.DRAWING)
    assert drawings.fault(file) == ""
    assert not drawings.has_steps(file)
