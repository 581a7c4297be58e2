"""What a chapter's file may hold: text in UTF-8, in any form that editors save."""

import re

import pytest

from builder.errors import BookError
from builder.source import reader

FRONT = "---\njupytext:\n  text_representation: {format_name: myst}\n---\n\n"
CHAPTER = FRONT + "# Sums\n\nText, à la carte.\n\n```{code-cell}\nx = 1\n```\n"


def read(root, content):
    (root / "chapters").mkdir(exist_ok=True)
    path = root / "chapters" / "01-sums.md"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return reader.read(path, root)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_and_line_ends_are_no_text(tmp_path, mark, end):
    chapter = read(tmp_path, mark + CHAPTER.replace("\n", end))
    assert chapter.text == CHAPTER
    assert [cell.line for cell in chapter.cells] == [6, 11]
    with pytest.raises(BookError, match=r"^chapters/01-sums.md:11: not valid Python"):
        read(tmp_path, mark + CHAPTER.replace("x = 1", "x = = 1").replace("\n", end))


@pytest.mark.parametrize(
    ("encoding", "line", "message"),
    [
        ("latin-1", 8, "got the byte 0xE0 after 'Text, ': save it as UTF-8"),
        ("cp1252", 8, "got the byte 0xE0 after 'Text, ': save it as UTF-8"),
        ("utf-16", 1, "got UTF-16: save it as UTF-8"),
        ("utf-32", 1, "got UTF-32: save it as UTF-8"),
    ],
)
def test_another_encoding_is_refused_at_its_line(tmp_path, encoding, line, message):
    with pytest.raises(BookError) as error:
        read(tmp_path, CHAPTER.encode(encoding))
    assert str(error.value) == (
        f"chapters/01-sums.md:{line}: the file must be in UTF-8, {message}"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("unseen", ["\0", "\x0b", "\x0c", "\x1b", "\x85", "\u2028"])
@pytest.mark.parametrize(("place", "line"), [("la carte", 8), ("x = 1", 11)])
def test_what_no_editor_shows_is_refused_at_its_line(
    tmp_path, place, line, unseen, end
):
    text = CHAPTER.replace(place, unseen + place).replace("\n", end)
    message = rf"^chapters/01-sums.md:{line}: .*U\+{ord(unseen):04X} .*: delete it"
    with pytest.raises(BookError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("front", "line", "message"),
    [
        ("---\na: b\n\n", 1, "never closed: end it with a line ---"),
        ("\n\n---\na: b\n---\n", 1, "must begin in line 1"),
        ("---\n- a\n---\n", 1, r"must hold settings, got \['a'\]"),
        ("---\n---\n", 1, "must hold settings"),
        ("---\na: b\n\tc: d\n---\n", 3, r"not valid YAML \(found character '\\t'"),
        ("---\na: [\nb: 1\n---\n", 2, "not valid YAML"),
        ("---\na: 2026-02-31\n---\n", 2, "not valid YAML"),
        ("---\nkernelspec: 5\n---\n", 1, "kernelspec in the front matter is not valid"),
        ("---\nkernelspec: {name: x}\n---\n", 1, "'display_name' is a required"),
        ("---\njupyter: 5\n---\n", 1, "jupyter in the front matter is not valid"),
    ],
)
def test_mistakes_in_front_matter(tmp_path, front, line, message):
    with pytest.raises(BookError, match=f"^chapters/01-sums.md:{line}: .*{message}"):
        read(tmp_path, CHAPTER.replace(FRONT, front))


@pytest.mark.parametrize(
    "options",
    ["a: 2026-02-31", "a: *b", "a: !!bool x", "a:\tb\n\tc: d", "tags: [jax, jax]"],
)
def test_mistakes_in_options(tmp_path, options):
    text = CHAPTER.replace("x = 1", f"---\n{options}\n---\nx = 1")
    with pytest.raises(BookError) as error:
        read(tmp_path, text)
    assert re.match(r"chapters/01-sums.md:10: .*: write", str(error.value))
