"""Pages as a test reads them: parsed HTML, and its text."""

from bs4 import BeautifulSoup


def parse(path):
    """The HTML file at `path`."""
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def text_of(element):
    """The words of an element, without its line breaks."""
    return " ".join(element.get_text().split())
