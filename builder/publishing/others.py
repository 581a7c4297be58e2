"""What the site has of the book's other forms: those PDFs, EPUBs and slides that exist."""

from collections.abc import Mapping
from pathlib import Path

from builder.notebooks import downloads
from builder.publishing import single
from builder.publishing.parts import Part
from d2lext.core.frameworks import TITLES

BOOKS = {"pdf": "PDF", "epub": "EPUB"}  # whole books
SHARED = "_static/"  # equal in the slides of all frameworks, and large


def files(folder: Path) -> dict[str, bytes]:
    """The files of those forms in `folder`, by their paths on the site."""
    found = {}
    for backend in TITLES:
        for form in BOOKS:
            path = folder / form / single.file_name(backend, True, form)
            if path.is_file():
                found[f"books/{path.name}"] = path.read_bytes()
        found |= _slides(folder / "slides" / backend)
    return found


def _slides(folder: Path) -> dict[str, bytes]:
    """The slides of one framework, in `folder`; what all have is one folder up."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.startswith((".", "_sources/")):
            continue
        content, place = path.read_bytes(), f"{folder.name}/{name}"
        if name.startswith(SHARED):
            place = name
        elif path.suffix == ".html":
            content = content.replace(f'"{SHARED}'.encode(), f'"../{SHARED}'.encode())
        found[f"slides/{place}"] = content
    return found


def buttons(made: Mapping[str, Part], built: Mapping[str, object]) -> list[dict]:
    """For each framework, the links of the front page: name, path, name when saved."""
    first = next(iter(made), "")
    rows = []
    for backend, title in TITLES.items():
        links = []
        if first and backend in made[first].offered:
            links.append(("Notebook", *notebook(first, backend, made[first])))
        for form, label in BOOKS.items():
            path = f"books/{single.file_name(backend, True, form)}"
            links += [(label, path, "")] if path in built else []
        path = f"slides/{backend}/index.html"
        links += [("Slides", path, "")] if path in built else []
        if links:
            rows.append({"backend": backend, "title": title, "links": links})
    return rows


def notebook(name: str, backend: str, part: Part) -> tuple[str, str]:
    """Where the page `name` has its notebook, and what it is called when saved."""
    saved_as = f"{name}-{backend}.ipynb" if len(part.offered) > 1 else ""
    return downloads.path(name, backend), saved_as


def decks(name: str, built: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """The slides of the page `name`: framework, its title, and the path."""
    found = [(b, title, f"slides/{b}/{name}.html") for b, title in TITLES.items()]
    return [deck for deck in found if deck[2] in built]
