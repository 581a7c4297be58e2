"""The drawings of the book: valid, described, self-contained SVG."""

import re
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from shared import ROOT

FOLDER = ROOT / "chapters" / "img"
FIGURES = sorted(FOLDER.glob("*.svg"))
SVG = "{http://www.w3.org/2000/svg}"
MAX_BYTES = 12_000
MIN_FONT_SIZE = 17  # at a viewBox of 640, still 8.5 px on a screen 320 px wide

each_figure = pytest.mark.parametrize("path", FIGURES, ids=lambda path: path.stem)


def parse(path: Path) -> ElementTree.Element:
    return ElementTree.parse(path).getroot()


def ids(root: ElementTree.Element) -> list[str]:
    return [element.attrib["id"] for element in root.iter() if "id" in element.attrib]


def references(root: ElementTree.Element) -> list[str]:
    """Everything that a drawing points to, as written: `#name` or an address."""
    found = []
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.rpartition("}")[2] in ("href", "src"):
                found.append(value)
            found += re.findall(r"url\(\s*['\"]?(.*?)['\"]?\s*\)", value)
    return found


def test_the_chapters_have_figures():
    stems = {path.stem for path in FIGURES}
    assert {"add-or-concatenate", "dense-connections"} <= stems


@each_figure
def test_is_small_scalable_svg(path):
    root = parse(path)
    assert root.tag == f"{SVG}svg"
    x, y, width, height = map(float, root.attrib["viewBox"].split())
    assert (x, y) == (0, 0)
    assert width > 0
    assert height > 0
    assert path.stat().st_size < MAX_BYTES


@each_figure
def test_describes_itself(path):
    root = parse(path)
    assert root.attrib["role"] == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None
    assert title.text.strip()
    assert description is not None
    assert description.text.strip()
    labels = root.attrib["aria-labelledby"].split()
    assert labels == [title.attrib["id"], description.attrib["id"]]


@each_figure
def test_needs_no_other_file_and_runs_nothing(path):
    root = parse(path)
    # Elements of SVG alone: no script, no style sheet, no HTML, no editor's metadata.
    tags = {element.tag for element in root.iter()}
    assert all(tag.startswith(SVG) for tag in tags)
    names = {tag.removeprefix(SVG) for tag in tags}
    assert not names & {"script", "style", "foreignObject", "image", "metadata"}
    attributes = {name for element in root.iter() for name in element.attrib}
    assert not {name for name in attributes if name.lower().startswith("on")}
    text = path.read_text(encoding="utf-8")
    assert "<!DOCTYPE" not in text
    assert "<?xml-stylesheet" not in text
    assert all(reference.startswith("#") for reference in references(root))


@each_figure
def test_points_only_to_ids_that_it_has(path):
    root = parse(path)
    targets = {reference.removeprefix("#") for reference in references(root)}
    assert targets - set(ids(root)) == set()


def test_no_id_is_used_twice():
    # Across files too: figures drawn into one page share its ids.
    counts = Counter(name for path in FIGURES for name in ids(parse(path)))
    assert [name for name, count in counts.items() if count > 1] == []


@each_figure
def test_text_stays_readable_on_a_small_screen(path):
    root = parse(path)
    width = float(root.attrib["viewBox"].split()[2])
    sizes = [
        float(element.attrib["font-size"])
        for element in root.iter()
        if "font-size" in element.attrib
    ]
    assert sizes
    assert min(sizes) * 640 / width >= MIN_FONT_SIZE


@each_figure
def test_brings_its_own_background(path):
    # Dark text has to stay visible on a dark page that does not invert pictures.
    root = parse(path)
    width, height = root.attrib["viewBox"].split()[2:]
    card = next(child for child in root if child.tag == f"{SVG}rect")
    assert (card.attrib["width"], card.attrib["height"]) == (width, height)
    assert card.attrib["fill"] == "#ffffff"
