"""Where former addresses lead: mistakes are told at their line of chapters/book.toml."""

import pytest

from builder.errors import BookError
from builder.source import pages

SETTINGS = 'title = "Sums"\nauthor = "A"\nyear = 2026\n[redirects]\n"03-b" = "02-b"\n'
CHAPTERS = ["01-a", "02-b"]


def moved(root, settings):
    (root / "chapters").mkdir()
    for name in (*CHAPTERS, "index", "authors"):
        (root / "chapters" / f"{name}.md").write_text("# A page")
    (root / "chapters" / "book.toml").write_text(settings)
    return pages.moved(root, CHAPTERS)


def test_pages_beside_the_chapters(tmp_path):
    settings = SETTINGS + 'writers = "authors"\nhome = "index"\n'
    assert moved(tmp_path, settings) == {
        "03-b": "02-b",
        "writers": "authors",
        "home": "index",
    }
    assert pages.added(tmp_path) == ["authors"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('"01-a" = "02-b"', "the book has a page '01-a': delete the line, or rename"),
        (
            '"03-a" = "01-c"',
            "'03-a' leads to '01-c', which is not a page: choose from ",
        ),
        ('"04-b" = "03-b"', "'03-b' has moved, too: write where it is now, '02-b'"),
        ('"03-a" = "01-a.html"', "a redirect leads from a page's former name to its"),
        ('"a/b" = "01-a"', "a redirect leads from a page's former name to its"),
        ('"03-a" = 1', "a redirect leads from a page's former name to its"),
    ],
)
def test_a_wrong_redirect(tmp_path, line, message):
    with pytest.raises(BookError) as error:
        moved(tmp_path, f"{SETTINGS}{line}\n")
    assert str(error.value).startswith(f"chapters/book.toml:6: {message}")


def test_redirects_are_a_table(tmp_path):
    with pytest.raises(BookError, match=r"toml:4: a redirect .* got 'redirects' = 'x'"):
        moved(
            tmp_path,
            SETTINGS.replace('[redirects]\n"03-b" = "02-b"', 'redirects = "x"'),
        )
