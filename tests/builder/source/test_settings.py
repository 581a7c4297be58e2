"""The book's settings: each mistake is told with its line and what to write."""

import pytest

from builder.errors import BookError
from builder.source.settings import read_settings

GOOD = 'title = "Sums"\nauthor = "A. Author"\nyear = 2026\n'


def read(root, content):
    (root / "chapters").mkdir(exist_ok=True)
    path = root / "chapters" / "book.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_settings(root)


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        "\ufeff" + GOOD,
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace(" = ", "\t=\t"),
    ],
)
def test_settings_in_any_form(tmp_path, content):
    expected = {"title": "Sums", "author": "A. Author", "year": 2026}
    assert read(tmp_path, content) == expected


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ('"Sums"', "5", 1, "title must be a text, got 5: write it as in title = "),
        ('"Sums"', '" "', 1, "title must be a text"),
        ('"Sums"', '"Sums\\u0000"', 1, "one line of visible text"),
        ('"Sums"', '"Sums\\nand more"', 1, "one line of visible text"),
        ('"A. Author"', '["A", "B"]', 2, r"author must be a text, got \['A', 'B'\]"),
        ("2026", "true", 3, "year must be a number or a text, got True"),
        ("2026", "2026-02-31", 3, "not valid TOML"),
        ("2026", "2026-01-01", 3, "year must be a number or a text"),
        ("2026", "9" * 5000, 3, "not valid TOML"),
        ("2026\n", '2026\n\ntitel = "x"\n', 5, "unknown setting 'titel': choose from"),
        ("2026\n", "2026\n[title]\n", 4, "not valid TOML"),
        ("2026\n", '2026\n\ntitle = "x"\n', 5, "not valid TOML"),
        ("2026\n", '2026\nbranch = "x', 4, r"not valid TOML \(Unterminated string\)"),
        ("2026\n", f"2026\nx = {'[' * 3000}", 4, "not valid TOML"),
        ('"Sums"', "Sums", 1, "not valid TOML"),
    ],
)
def test_a_mistake_is_told_at_its_line(tmp_path, old, new, line, message):
    assert old in GOOD
    with pytest.raises(BookError, match=rf"^chapters/book.toml:{line}: .*{message}"):
        read(tmp_path, GOOD.replace(old, new))


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(BookError, match="book.toml has no year: add a line such as"):
        read(tmp_path, GOOD.replace("year", "# year"))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-32"])
def test_another_encoding(tmp_path, encoding):
    content = GOOD.replace("Author", "Müller").encode(encoding)
    line = 2 if encoding == "latin-1" else 1
    with pytest.raises(BookError, match=rf"book.toml:{line}: .* save it as UTF-8"):
        read(tmp_path, content)
