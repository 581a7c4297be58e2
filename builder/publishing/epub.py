"""The book for e-readers: an EPUB 3 for one framework, without scripts."""

import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from builder.publishing import cover, images, sphinx_build
from builder.publishing.sphinx_source import Source
from builder.source.settings import read_settings
from d2lext.core.frameworks import TITLES

STYLE = Path(__file__).parent / "styles" / "reader.css"


def build(
    root: Path, out: Path, pages: Mapping[str, NotebookNode], backend: str
) -> bool:
    """Write `pages`, the notebooks of `backend` by name, to the file `out`.

    Skipped if nothing has changed; returns whether it was written.
    """
    out, settings = out.resolve(), read_settings(root)
    edition = f"{TITLES[backend]} edition"
    work = out.parent.with_name("work") / f"epub-{out.stem}"
    picture, folder = work / "cover.png", work / "epub"
    configuration = _configuration(settings, edition, out.stem, picture)
    source = Source(root, pages, configuration, kinds=images.READERS)

    def copied() -> Path:
        return shutil.copyfile(folder / "book.epub", work / "book.epub")

    with sphinx_build.alone(out, work):
        cover.draw(picture, settings["title"], edition, settings["author"])
        sphinx_build.build(source, folder, work, builder="epub")
        return sphinx_build.publish(folder, out, copied)


def _configuration(
    settings: Mapping[str, Any], edition: str, name: str, picture: Path
) -> dict[str, Any]:
    """Sphinx's settings."""
    title, author = f"{settings['title']}: {edition}", settings["author"]
    address = settings.get("repository", "https://example.org/")
    identifier = f"uuid-{uuid.uuid5(uuid.NAMESPACE_URL, f'{address} {title} {name}')}"
    return {
        "extensions": [
            "builder.sphinxext.mathml",
            "builder.sphinxext.references",
        ],
        "html_math_renderer": "mathml",
        "html_static_path": [str(STYLE), str(picture)],
        "html_secnumber_suffix": " ",
        # E-readers require valid XHTML, which a notebook's HTML tables are not.
        "nb_mime_priority_overrides": [("epub", "text/html", None)],
        "pygments_style": "friendly",
        "version": str(settings["year"]),
        "epub_basename": "book",
        "epub_title": title,
        "epub_author": author,
        "epub_publisher": author,
        "epub_contributor": author,
        "epub_language": "en",
        "epub_description": title,
        # The same in each build, so that an e-reader recognises the book.
        "epub_identifier": identifier,
        "epub_uid": identifier,
        "epub_scheme": "UUID",
        "epub_cover": ("_static/cover.png", "epub-cover.html"),
        "epub_css_files": [STYLE.name],
        "epub_show_urls": "no",
        "epub_use_index": False,
        "epub_tocdepth": 2,
        "epub_tocscope": "includehidden",
        "epub_exclude_files": [".inputs"],
    }
