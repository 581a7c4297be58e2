"""The works that are cited: mistakes at their lines, and names as the site shows them."""

import pytest
from shared import small_book

from builder.errors import BookError
from builder.notebooks import split
from builder.source import references

FIRST = """\
@article{one2020,
  author  = {One, Ann},
  title   = {Sums},
  journal = {A Journal},
  year    = {2020}
}
"""
BOOK = FIRST + "\n" + FIRST.replace("one2020", "two2021").replace("2020", "2021")


def read(root, content):
    (root / "chapters").mkdir(exist_ok=True)
    path = root / "chapters" / "references.bib"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    entries = references.read(root)
    references.check(entries, root)
    return entries


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("  author  = {One, Ann},\n", "", 1, "the entry 'one2020' has no author: add"),
        ("{One, Ann}", "{}", 1, "has no author"),
        ("{One, Ann}", "{{}}", 1, "a person without a name"),
        ("{One, Ann}", "{One, A, B, C}", 2, "Too many commas in 'One, A, B, C'"),
        ("  year    = {2020}\n", "", 1, "the entry 'one2020' has no year: add a line"),
        ("{A Journal}", "cvpr", 4, "undefined string: cvpr: .* @string"),
        ("two2021", "One2020", 8, "repeated bibliography entry: One2020: delete"),
        ("  title ", "  year = 1,\n  title ", 1, "duplicate year field"),
        ("{Sums}", "{Sums", 1, "'one2020' opens 5 braces and closes 4"),
        ("{Sums}", "{Sums}}", 1, "'one2020' opens 5 braces and closes 6"),
        ("{2020}\n}\n", "{2020}\n", 1, "'one2020' opens 5 braces and closes 4"),
        ("{Sums},", "{Sums}", 4, "syntax error: '}' expected"),
        ("one2020,", "", 2, "syntax error"),
        ("@article{one", "me@a.org\n@article{one", 1, "@ only where an entry begins"),
        ("@article{one", "@blog{one", 1, "unknown type @blog: write @misc"),
        ("Sums", "Su\0ms", 3, r"U\+0000"),
        ("Sums", "Su\u2028ms", 3, r"U\+2028 \(LINE SEPARATOR\)"),
        ("Sums", "Su\x0cms", 3, r"U\+000C"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path, old, new, line, message):
    assert old in BOOK
    with pytest.raises(
        BookError, match=rf"^chapters/references.bib:{line}: .*{message}"
    ):
        read(tmp_path, BOOK.replace(old, new, 1))


def test_another_encoding(tmp_path):
    with pytest.raises(BookError, match=r"references.bib:2: .*0xFC after .*UTF-8"):
        read(tmp_path, BOOK.replace("One", "Müller").encode("latin-1"))


def test_only_what_is_cited_must_be_complete(tmp_path):
    (tmp_path / "chapters").mkdir()
    bib = BOOK.replace("  year    = {2021}\n", "")
    (tmp_path / "chapters" / "references.bib").write_text(bib)
    small_book.write(tmp_path, "# Sums\n\nBy {cite:t}`one2020`.\n")
    with pytest.raises(BookError, match="'two2021' has no year"):
        small_book.write(tmp_path, "# Sums\n\nBy {cite:t}`two2021`.\n")


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("One, Ann", "{The Sum Team}", "The Sum Team (2020)"),
        ("One, Ann", 'M{\\"u}ller, Ann', "Müller (2020)"),
        ("One, Ann", "van der Berg, Ann and Two, Bo", "van der Berg and Two (2020)"),
        ("One, Ann", "One, A and Two, B and Three, C", "One *et al.* (2020)"),
        ("@article", '@string{one = "One, Ann"}\n@article', "One (2020)"),
        ("{One, Ann}", '"One" # ", " # "Ann"', "One (2020)"),
        (
            "@article{one2020,\n  author",
            "@proceedings{one2020,\n  editor",
            "One (2020)",
        ),
        (
            "@article{one2020,\n  author",
            "@misc{one2020,\n  note",
            "*Sums* (2020)",
        ),
        ("{2020}", "{}", "One (n.d.)"),
    ],
)
def test_names_are_shown_as_on_the_site(tmp_path, old, new, shown):
    (tmp_path / "chapters").mkdir()
    assert old in BOOK
    bib = BOOK.replace(old, new, 1)
    (tmp_path / "chapters" / "references.bib").write_text(bib)
    book = small_book.write(tmp_path, "# Sums\n\nBy {cite:t}`one2020`.\n")
    [cell] = split.cells(book, book.chapters[0], "torch")
    assert cell.source.endswith(f"\n\nBy {shown}.")
