"""Write the site: merged notebooks through Sphinx, checked, then swapped in whole.

What Sphinx reads lies beside the site in site-source, what it keeps between two builds
in site-work. A build that fails leaves the last good site where it is.
"""

import copy
import io
import os
import re
import shutil
import tomllib
import warnings
from importlib.metadata import version
from pathlib import Path

import nbformat

from d2lext.book import backends, files, formulas
from d2lext.book.errors import BookError

HERE = Path(__file__).parent
PACKAGES = ("sphinx", "furo", "myst-nb", "sphinx-design", "sphinxcontrib-bibtex")
PLOT_ALT = "Plot drawn by the code above."
# Two chapters may cite the same work: each lists it, and links to its own list.
ONE_LIST_A_CHAPTER = ["bibtex.duplicate_citation", "bibtex.duplicate_label"]
# The repository's mark in the foot of the page: two branches that meet.
MARK = (
    '<svg viewBox="0 0 16 16" fill="none" stroke="currentColor" stroke-width="1.5">'
    '<path d="M4 4.5v7M4.5 11.5C4.5 8 11 9.5 11.5 6"/><circle cx="4" cy="3" r="1.6"/>'
    '<circle cx="4" cy="13" r="1.6"/><circle cx="12" cy="4.5" r="1.6"/></svg>'
)


def build(root, out, pages):
    """Write `pages` (name -> merged notebook) and the front page; return its path.

    Raises BookError with everything that Sphinx warned of, by line of the chapter.
    """
    root, out = Path(root).resolve(), Path(out).resolve()
    source, work = out.with_name("site-source"), out.with_name("site-work")
    settings = _settings(root / "chapters" / "book.toml")
    _write_source(root / "chapters", source, pages)
    _write_configuration(source, settings, pages)
    tools, inputs = _fingerprint(HERE), _fingerprint(HERE, source)
    if _read(out / ".inputs") == inputs:
        return out / "index.html"
    if _read(work / ".tools") != tools:
        shutil.rmtree(work, ignore_errors=True)
    # Back only after success: what a failed build read is not to be trusted.
    (work / ".tools").unlink(missing_ok=True)
    html = work / "html"
    shutil.rmtree(html, ignore_errors=True)
    work.mkdir(parents=True, exist_ok=True)
    if told := _run_sphinx(source, work):
        raise BookError(_report(told, source))
    (html / ".inputs").write_text(inputs)
    _swap(html, out)
    (work / ".tools").write_text(tools)
    return out / "index.html"


def _settings(path):
    """The book's title, author and year, and its repository if it has an address."""
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BookError(
            f"{path} is missing: it names the book's title, author and year"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise BookError(f"{path}: {error}") from error
    for name in ("title", "author", "year"):
        if name not in settings:
            raise BookError(f'{path} has no {name}: add a line such as {name} = "…"')
    return settings


def _write_source(chapters, source, pages):
    """Bring the source folder up to date, touching only what changed."""
    wanted = {source / f"{name}.ipynb" for name in pages} | {source / "conf.py"}
    for name, notebook in pages.items():
        files.write(source / f"{name}.ipynb", _page(notebook, chapters / f"{name}.md"))
    for path in [chapters / "index.md", chapters / "references.bib"]:
        if path.is_file():
            files.write(source / path.name, path.read_text(encoding="utf-8"))
            wanted.add(source / path.name)
    for path in (chapters / "img").glob("*"):
        copied = source / "img" / path.name
        wanted.add(copied)
        if not copied.is_file() or copied.read_bytes() != path.read_bytes():
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)
    for path in [path for path in source.rglob("*") if path.is_file()]:
        if path not in wanted:
            path.unlink()


def _page(notebook, chapter):
    """The notebook as text for Sphinx, with its cells' lines in the chapter."""
    notebook = copy.deepcopy(notebook)
    notebook.metadata.setdefault("language_info", {"name": "python"})
    if chapter.is_file():
        lines = chapter.read_text(encoding="utf-8").splitlines()
        notebook.metadata["source_map"] = _source_map(notebook.cells, lines)
    return nbformat.writes(notebook)


def _source_map(cells, lines):
    """The line at which each cell begins in the chapter, as myst-nb wants it.

    Merging adds lines around a cell, so a cell is found by its first own line; and it
    repeats a cell whose outputs differ. myst-nb 1.4 counts one line too many, hence
    lines are counted from -1.
    """
    starts, place, last = [], 0, None
    for cell in cells:
        own = [
            (offset, line)
            for offset, line in enumerate(cell.source.splitlines())
            if line.strip(": ") and line in lines[place:]
        ]
        if cell.source == last:
            starts.append(starts[-1])
        elif own:
            offset, line = own[0]
            place = lines.index(line, place)
            starts.append(place - offset - 1)
            place += len(own)
        else:
            starts.append(place - 1)
        last = cell.source
    return starts


def _fingerprint(*folders):
    """Changes with the tools' versions and with any file in `folders`."""
    return f"{[version(name) for name in PACKAGES]} {files.fingerprint(*folders)}"


def _read(path):
    return path.read_text() if path.is_file() else None


def _write_configuration(source, settings, pages):
    lines = ["# Generated by d2lext.book.site."]
    for name, value in _configuration(settings, pages).items():
        lines.append(f"{name} = {value!r}")
    files.write(source / "conf.py", "\n".join(lines) + "\n")


def _configuration(settings, pages):
    """Sphinx's settings."""
    repository = settings.get("repository")
    footer = {"name": "Source", "url": repository, "html": MARK, "class": ""}
    return {
        "project": settings["title"],
        "author": settings["author"],
        "copyright": f"{settings['year']} {settings['author']}",
        "extensions": [
            "myst_nb",
            "sphinx_copybutton",
            "d2lext.book.formulas",
            "d2lext.book.sphinx_citations",
            "d2lext.book.sphinx_tabs",
        ],
        "language": "en",
        # Notebooks
        "nb_execution_mode": "off",
        "nb_merge_streams": True,
        "nb_render_image_options": {"alt": PLOT_ALT},
        "myst_enable_extensions": [
            "attrs_block",
            "attrs_inline",
            "colon_fence",
            "deflist",
            "dollarmath",
        ],
        "myst_update_mathjax": False,
        # Formulas and numbers: figure 1.1, equation (1.1)
        "html_math_renderer": "katex",
        "numfig": True,
        "numfig_secnum_depth": 1,
        "numfig_format": {"figure": "Figure %s", "table": "Table %s"},
        "math_numfig": True,
        "math_eqref_format": "({number})",
        # References
        "bibtex_bibfiles": ["references.bib"],
        "bibtex_reference_style": "round_author_year",
        "suppress_warnings": ONE_LIST_A_CHAPTER,
        # The page
        "html_theme": "furo",
        "html_title": settings["title"],
        "html_static_path": [str(HERE / "static"), str(formulas.files() / "static")],
        "templates_path": [str(HERE / "templates")],
        "html_css_files": ["katex.min.css", "book.css"],
        "html_favicon": str(HERE / "static" / "favicon.svg"),
        "html_context": {"frameworks": _frameworks(pages)},
        "html_secnumber_suffix": " ",
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "pygments_style": "a11y-high-contrast-light",
        "pygments_dark_style": "a11y-high-contrast-dark",
        "html_theme_options": {
            "top_of_page_buttons": [],
            "footer_icons": [footer] if repository else [],
            "light_css_variables": {
                "color-brand-primary": "#17406d",
                "color-brand-content": "#1a5a9e",
            },
            "dark_css_variables": {
                "color-brand-primary": "#8dbbea",
                "color-brand-content": "#8dbbea",
            },
        },
        # Code is copied, what it printed is not.
        "copybutton_selector": "div:not(.output) > div.highlight > pre",
    }


def _frameworks(pages):
    """Id and title of each framework that has cells of its own on some page."""
    tags = {
        tag
        for notebook in pages.values()
        for cell in notebook.cells
        for tag in cell.metadata.get("tags", [])
    }
    titles = backends.TITLES.items()
    return [(name, title) for name, title in titles if f"tab-{name}" in tags]


def _run_sphinx(source, work):
    """Write all pages into work/html; return what Sphinx warned of."""
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    told = io.StringIO()
    try:
        with (
            patch_docutils(source),
            docutils_namespace(),
            warnings.catch_warnings(),
        ):
            # What extensions use of Sphinx's older interface is not the author's fault.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            app = Sphinx(
                source,
                confdir=source,
                outdir=work / "html",
                doctreedir=work / "doctrees",
                buildername="html",
                status=None,
                warning=told,
            )
            # Reads only what changed, but writes every page: a changed title stands
            # in the navigation of all of them.
            app.build(force_all=True)
    except SphinxError as error:
        raise BookError(f"Sphinx could not build the site: {error}") from error
    return re.sub(r"\x1b\[[\d;]*m", "", told.getvalue()).strip()


def _report(told, source):
    """Sphinx's warnings, each at its place in the book's own files."""
    text = re.sub(r": (WARNING|ERROR|CRITICAL): ", ": ", told)
    text = re.sub(rf"{re.escape(str(source))}/(\S+?)\.ipynb", r"chapters/\1.md", text)
    text = text.replace(f"{source}{os.sep}", f"chapters{os.sep}")
    return f"the site was not written:\n{text}"


def _swap(new, out):
    """Put the folder `new` in the place of `out`."""
    ready, old = out.with_name(f"{out.name}.new"), out.with_name(f"{out.name}.old")
    for path in (ready, old):
        shutil.rmtree(path, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(new, ready)  # a copy where `out` is on another disk
    if out.exists():
        os.replace(out, old)
    os.replace(ready, out)
    shutil.rmtree(old, ignore_errors=True)
