"""Any single edit of a notebook comes back to the chapter, or is refused with a reason."""

import dataclasses
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell
from shared.blocks_book import CHAPTER, Small

from builder.errors import BookError
from builder.source import chapter as chapters
from builder.source.book import Book
from d2lext.core.frameworks import IDS


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """For the property tests, which bring it back to its beginning each time."""
    return Small(tmp_path_factory.mktemp("book"))


WORDS = st.lists(
    st.sampled_from(["alpha", "beta", "x = 1", "of (1.1)", "$y$", "`code`", "1. one"]),
    min_size=1,
    max_size=4,
).map(" ".join)


LINES = st.lists(WORDS, min_size=1, max_size=3)


CODE = st.lists(
    st.sampled_from(
        ["a = 1", "if a:\n    b = 2", "# why", "print('```')", "x = '---'"]
    ),
    min_size=1,
    max_size=3,
).map("\n".join)


# What in the notebooks comes from labels, roles and directives.
# Of headings and labels that others need, and of what is generated.
REFUSED = (
    "unknown label|a title|generated|sections are numbered|cannot follow one of level|"
    "readers .* do not have"
)
FROM_THE_CHAPTER = r"(?m)^#|1\.1|et al|\$\$|!\[|^>|2016a|\*Counting\*|Section"


@pytest.mark.slow
@settings(
    max_examples=80,
    derandomize=True,  # whoever runs the suite has the same cases
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_any_single_edit_survives(shared, data):
    shared.reset()
    before = {backend: shared.shown(backend) for backend in IDS}
    parts = parts_of(shared)
    first = data.draw(st.sampled_from(IDS), "notebook")
    kinds = ["change", "insert", "delete", "move", "tag"]
    kind = data.draw(st.sampled_from(kinds), "kind")
    everywhere = data.draw(st.booleans(), "in all notebooks that have the cell")
    cells = before[first]
    place = data.draw(st.integers(0, len(cells) - 1), "cell")
    having = [b for b in IDS if everywhere and cells[place] in before[b]] or [first]
    if kind == "change":
        new = _changed(data, *cells[place])
    elif kind == "insert":
        is_code = data.draw(st.booleans(), "code")
        text = data.draw(CODE if is_code else LINES.map("\n\n".join), "text")
        new = ("code" if is_code else "markdown", text)
    elif kind == "move":
        others = [cell for cell in cells if cell != cells[place]]
        behind = data.draw(st.sampled_from([None, *others]), "behind")
        having = [b for b in having if behind is None or behind in before[b]]
    elif kind == "tag":
        tag = data.draw(st.sampled_from([*chapters.TAGS]), "tag")
    for backend in having:
        at = before[backend].index(before[first][place])

        def edit(cells, at=at):
            if kind == "change":
                cells[at].source = new[1]
            elif kind == "delete":
                del cells[at]
            elif kind == "move":
                cell = cells.pop(at)
                texts = [(other.cell_type, other.source) for other in cells]
                cells.insert(texts.index(behind) + 1 if behind else 0, cell)
            elif kind == "tag":
                tags = {*cells[at].metadata.get("tags", ())} ^ {tag}
                cells[at].metadata["tags"] = sorted(tags)
            else:
                make = new_code_cell if new[0] == "code" else new_markdown_cell
                cells.insert(at + 1, make(new[1]))

        shared.edit(backend, edit)
    edited = {backend: shared.shown(backend) for backend in having}
    tags = {backend: shared.tags(backend) for backend in having}
    try:
        shared.sync()
        refused = None
    except BookError as error:
        refused = str(error)
    if refused is not None and kind == "move":
        # Where the place is uncertain the author reads what to move where.
        assert re.search(r"01-blocks.md:\d+: notebooks/.* move it (after|to)", refused)
        assert shared.text == CHAPTER
        assert {backend: shared.shown(backend) for backend in having} == edited
        return
    if refused is not None:
        # A heading that others refer to cannot go, what is generated cannot be edited.
        was = before[first][place][1].split("\n")
        now = edited[first][place][1].split("\n") if kind == "change" else []
        touched = "\n".join(line for line in was if line not in now)
        assert kind != "insert"
        assert before[first][place][0] == "markdown"
        assert re.search(FROM_THE_CHAPTER, touched), touched
        assert re.search(REFUSED, refused), refused
        assert shared.text == CHAPTER
        assert {backend: shared.shown(backend) for backend in having} == edited
        return
    shared.split()
    # Prose that only lectures show is in no notebook.
    is_gone = kind == "tag" and cells[place][0] == "markdown" and tag in LECTURE
    for backend in having:
        shown = list(zip(edited[backend], tags[backend], strict=True))
        if is_gone:
            del shown[before[backend].index(cells[place])]
        assert (
            list(zip(shared.shown(backend), shared.tags(backend), strict=True)) == shown
        )
    # Notebooks that never had the cell are as they were.
    for backend in IDS:
        if cells[place] not in before[backend]:
            assert shared.shown(backend) == before[backend]
    # And so are all of the chapter's lines, but for those of one cell.
    lost = [line for line in CHAPTER.split("\n") if line not in shared.text.split("\n")]
    allowed = _source_of(cells[place]) if kind != "insert" else ""
    options = ("tags:", ":tags:", "expect:", "+++", "  23", "---", "```{code-cell}")
    for line in lost:
        assert line in allowed or line.startswith(options)
    if kind == "move":
        assert lost == []
        assert parts_of(shared) == parts  # with all of their options
        for backend in IDS:
            assert sorted(shared.shown(backend)) == sorted(before[backend])
    assert shared.sync() == []


LECTURE = ("slide", "notes")


def parts_of(small):
    """All that the chapter says, cell by cell, in any order."""
    [cells] = [ch.lecture for ch in Book(small.root).chapters if ch.name == "blocks"]
    return sorted(repr(dataclasses.replace(cell, line=0)) for cell in cells)


def _source_of(shown):
    """The chapter's lines around a cell that a notebook shows."""
    first = shown[1].split("\n")[0]
    for part in re.split(r"\n(?=```\{code-cell)|\n\+\+\+|\n```\n", CHAPTER):
        if first in part or (first.startswith("A sum") and first[:8] in part):
            return part
    return CHAPTER


def _changed(data, kind, text):
    """`text` with words put in, taken away or written over at a random place."""
    words = re.findall(r"\S+|\s+", text)
    start = data.draw(st.integers(0, len(words)), "first word")
    length = data.draw(st.integers(0, 6), "words taken away")
    new = data.draw(CODE if kind == "code" else WORDS, "words put in")
    if kind == "code":
        lines = text.split("\n")
        at = data.draw(st.integers(0, len(lines)), "line")
        return kind, "\n".join([*lines[:at], *new.split("\n"), *lines[at:]])
    changed = "".join([*words[:start], new, *words[start + length :]])
    return kind, changed.strip() or "word"
