"""A book of one chapter of the test's own, beside the library."""

from builder.source.book import Book
from shared import ROOT

DRAWING = '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="50"></svg>'


def write(root, text):
    """The book of one chapter, 01-sums.md, in the folder `root`."""
    (root / "chapters" / "img").mkdir(parents=True, exist_ok=True)
    (root / "chapters" / "img" / "sum.svg").write_text(DRAWING)
    (root / "chapters" / "01-sums.md").write_text(text)
    if not (root / "d2lext").exists():
        (root / "d2lext").symlink_to(ROOT / "d2lext")
    return Book(root)
