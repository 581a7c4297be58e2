"""The book for e-readers: an EPUB 3 for one framework, without scripts."""

import shutil
import uuid
from pathlib import Path

from builder.publishing import cover, single, sphinx_build
from builder.source.settings import read_settings
from d2lext.core.frameworks import TITLES

STYLE = Path(__file__).parent / "styles" / "reader.css"


def build(root, out, pages, backend):
    """Write `pages` (name -> notebook of `backend`) to the file `out`.

    Nothing happens if nothing has changed since; returns whether it was written.
    """
    root, out = Path(root).resolve(), Path(out).resolve()
    settings = read_settings(root)
    work = out.parent.with_name("work") / f"epub-{out.stem}"
    folder = work / "epub"
    picture = work / "cover.png"
    configuration = _configuration(settings, backend, out.stem, picture)
    work.mkdir(parents=True, exist_ok=True)
    cover.draw(picture, settings["title"], _edition(backend), settings["author"])
    sphinx_build.build(root, folder, work, pages, configuration, builder="epub")

    def copied():
        shutil.copyfile(folder / "book.epub", work / "book.epub")
        return work / "book.epub"

    return single.publish(folder, out, copied)


def _edition(backend):
    return f"{TITLES[backend]} edition"


def _configuration(settings, backend, name, picture):
    """Sphinx's settings."""
    shared = sphinx_build.configuration(settings)
    title, author = f"{settings['title']}: {_edition(backend)}", settings["author"]
    address = settings.get("repository", "https://example.org/")
    identifier = f"uuid-{uuid.uuid5(uuid.NAMESPACE_URL, f'{address} {title} {name}')}"
    return {
        **shared,
        "extensions": [
            *shared["extensions"],
            "builder.sphinxext.mathml",
            "builder.sphinxext.references",
        ],
        "html_math_renderer": "mathml",
        "html_static_path": [str(STYLE), str(picture)],
        "html_secnumber_suffix": " ",
        # A table that a notebook shows as HTML is no XHTML, which readers insist on.
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
        # The same in each build, so that a reader knows the book again.
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
