"""The drawings of numbers: as their code draws them, and as the chapter counts."""

import re
from xml.etree import ElementTree

import pytest
from shared import ROOT

from chapters.img import bottleneck, draw, growth, memory, network

SVG = "{http://www.w3.org/2000/svg}"
SHAPE = r"DenseBlock +\(1, (\d+), (\d+), \2\)"  # in the chapter, for PyTorch and MXNet


@pytest.mark.parametrize("name", draw.DRAWINGS)
def test_is_as_drawn(name):
    drawn = (ROOT / "chapters" / "img" / f"{name}.svg").read_text("utf-8")
    assert drawn == draw.DRAWINGS[name](), "python -m chapters.img.draw draws it"


def test_chapters_describe_them_as_their_code_does():
    text = "".join(
        path.read_text("utf-8") for path in (ROOT / "chapters").glob("0*.md")
    )
    for name, alt in re.findall(
        r"\{figure\} img/(\w+)\.svg\n(?::.*\n)*?:alt: (.*)", text
    ):
        if name in draw.DRAWINGS:
            root = ElementTree.fromstring(draw.DRAWINGS[name]())
            assert alt == root.findtext(f"{SVG}desc")


def test_slabs_are_as_wide_and_high_as_the_chapter_has_them():
    chapter = (ROOT / "chapters" / "01-densenet.md").read_text("utf-8")
    blocks = [tuple(map(int, shape)) for shape in re.findall(SHAPE, chapter)[:4]]
    assert len(blocks) == 4
    root = ElementTree.fromstring(network.draw())
    words = [element.text for element in root.iter(f"{SVG}text")]
    for channels, side in blocks:
        assert str(channels) in words
        assert f"{side} × {side}" in words
    front = re.compile(r"M[\d.]+ [\d.]+h([\d.]+)v([\d.]+)h-\1z")
    paths = [front.fullmatch(p.attrib["d"]) for p in root.iter(f"{SVG}path")]
    slices = [tuple(map(float, match.groups())) for match in paths if match]
    slices = [piece for piece in slices if piece[1] != 6][1:]  # no scores, no image
    for place, (channels, side) in enumerate(blocks):
        own = slices[5 * place : 5 * place + 5]  # what comes in, and four layers
        wide = sum(width for width, _ in own) / network.CHANNEL
        assert wide == pytest.approx(channels, abs=1)
        assert own[0][1] / network.PIXEL == pytest.approx(side, abs=0.1)


def test_memory_is_what_the_chapter_counts():
    blocks = [(64, 24), (96, 12), (112, 6), (120, 3)]
    counted = [
        [memory.mib(numbers, side) for numbers in memory.kept(4, c, 32)]
        for c, side in blocks
    ]
    copies, features = map(sum, zip(*counted, strict=True))
    assert round(copies) == 436  # the chapter's exercise on memory
    assert round(features) == 75


def test_parameters_are_those_of_the_whole_network():
    stem = 7 * 7 * 64 + 64 + 2 * 64
    head = 2 * 248 + 248 * 10 + 10
    parts = [growth.parameters(c, 32, 4, 0.5) for c in (64, 96, 112, 120)]
    [*_, (last, _)] = parts
    between = sum(block + transition for block, transition in parts[:-1])
    assert stem + between + last + head == 758_226


def test_a_bottleneck_saves_what_the_chapter_says():
    channels, without, parts = bottleneck.weights()
    assert channels == (992, 128, 32)
    assert without == 9 * 992 * 32
    assert parts == (992 * 128, 9 * 128 * 32)
