"""The book on paper for one framework: Sphinx writes LaTeX, XeLaTeX prints it.

What XeLaTeX reads and writes lies in _build/work; only a whole PDF leaves it.
"""

import copy
import os
import re
import shutil
import subprocess
from pathlib import Path

from builder.errors import BookError
from builder.publishing import single, sphinx_build
from builder.source.settings import read_settings
from d2lext.core.frameworks import TITLES

STYLE = Path(__file__).parent / "styles" / "paper.sty"
PROGRAMS = ("latexmk", "xelatex", "rsvg-convert")
PACKAGES = (
    "latexmk texlive-xetex texlive-latex-recommended texlive-latex-extra "
    "texlive-fonts-recommended tex-gyre fonts-texgyre fonts-dejavu-core librsvg2-bin"
)
TIMEOUT_S = 300
# A chapter's list of references, with its heading.
REFERENCES = re.compile(
    r"(?:^#+ .+\n+)?^(?P<fence>:{3,}|`{3,})\{bibliography\}.*?^(?P=fence)[ ]*$",
    re.M | re.S,
)

SPLIT = r"\\(begin|end)\{split\}"  # what Sphinx puts around a formula


def build(root, out, pages, backend):
    """Write `pages` (name -> notebook of `backend`) to the file `out`.

    Nothing happens if nothing has changed since; returns whether it was written.
    """
    _check_programs()
    root, out = Path(root).resolve(), Path(out).resolve()
    settings = read_settings(root)
    work = out.parent.with_name("work") / f"pdf-{out.stem}"
    source = work / "tex"
    configuration = _configuration(settings, backend)
    pages = _with_one_list(pages)
    sphinx_build.build(root, source, work, pages, configuration, builder="latex")
    return single.publish(source, out, lambda: _print(source, work / "run", root))


def _check_programs():
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        raise BookError(
            f"a PDF needs {_list(missing)}, not found on this machine: {_remedy()}"
        )


def _remedy():
    return f"install TeX; on Debian and Ubuntu, apt-get install {PACKAGES}"


def _list(names):
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _with_one_list(pages):
    """The pages with one list of references, at the end of the book as LaTeX has it."""
    pages = copy.deepcopy(pages)
    last = None
    for page in pages.values():
        for cell in page.cells:
            if cell.cell_type == "markdown" and REFERENCES.search(cell.source):
                cell.source = REFERENCES.sub("", cell.source)
                last = cell
    if last is not None:
        last.source += "\n\n:::{bibliography}\n:::"
    return pages


def _configuration(settings, backend):
    """Sphinx's settings."""
    shared = sphinx_build.configuration(settings)
    title, author = settings["title"], settings["author"]
    about = {
        "name": title,
        "edition": f"{TITLES[backend]} edition",
        "author": author,
        "year": settings["year"],
        "repository": settings.get("repository", ""),
    }
    macros = [rf"\newcommand{{\book{k}}}{{{_escape(v)}}}" for k, v in about.items()]
    return {
        **shared,
        "extensions": [*shared["extensions"], "sphinxcontrib.rsvgconverter"],
        "nb_mime_priority_overrides": [("latex", "image/svg+xml", 5)],
        "pygments_style": "friendly",
        "latex_engine": "xelatex",
        "latex_documents": [("index", "book.tex", _escape(title), author, "manual")],
        "latex_additional_files": [str(STYLE)],
        "latex_table_style": ["booktabs"],
        "latex_domain_indices": False,
        "latex_show_urls": "no",
        "latex_elements": {
            "papersize": "a4paper",
            "pointsize": "11pt",
            "extraclassoptions": "oneside,openany",
            "fncychap": "",
            # The mathematical fonts are those of mathpazo.
            "fontenc": r"\usepackage[no-math]{fontspec}",
            "fontpkg": r"\usepackage{mathpazo}",
            "preamble": "\n".join([r"\usepackage{paper}", *macros]),
            "maketitle": r"\booktitlepage",
            "tableofcontents": r"\bookcontents\bookpreface",
            "printindex": "",
            "makeindex": "",
        },
    }


def _escape(text):
    from sphinx.util.texescape import escape

    return escape(str(text), "xelatex")


def _print(source, run, root):
    """Let latexmk make the PDF in the folder `run`; returns its path."""
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    command = ["latexmk", "-norc", "-xelatex", "-interaction=nonstopmode"]
    command += ["-halt-on-error", "-file-line-error", f"-outdir={run}", "book.tex"]
    # Lines of the log as long as they come, so that messages can be found in it.
    variables = {**os.environ, "max_print_line": "10000"}
    try:
        subprocess.run(
            command,
            cwd=source,
            env=variables,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise BookError(
            f"XeLaTeX has not printed the book within {TIMEOUT_S} s: look at the end of "
            f"{run / 'book.log'}"
        ) from None
    except subprocess.CalledProcessError as error:
        log = _log(run) or error.stderr.decode(errors="replace")
        raise BookError(_failure(log, source / "book.tex", root, run)) from error
    _check_glyphs(_log(run))
    return run / "book.pdf"


def _log(run):
    path = run / "book.log"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _failure(log, tex, root, run):
    """What stopped XeLaTeX, at its place in the chapter."""
    if match := re.search(r"File [`'](\S+?)' not found|font \"([^\"]+)\" cannot", log):
        return f"TeX lacks {match[1] or match[2]}: {_remedy()}"
    match = re.search(r"^\./\S+:(\d+): (.+)((?:\n.*){,8})", log, re.MULTILINE)
    if not match:
        return f"XeLaTeX could not print the book: see the end of {run / 'book.log'}"
    # TeX shows the line up to what it could not read.
    read = re.search(r"^l\.\d+ (.*)$", match[3], re.MULTILINE)
    shown = f" at {read[1].strip()!r}" if read else ""
    place = _place(tex.read_text(encoding="utf-8").splitlines(), int(match[1]), root)
    return f"{place}: LaTeX cannot print this: {match[2].rstrip('.')}{shown}"


def _place(lines, number, root):
    """The chapter and, where the words are the same there, its line."""
    for at in range(min(number, len(lines)) - 1, -1, -1):
        if match := re.search(r"\\label\{\\detokenize\{([^:}]+)::doc\}\}", lines[at]):
            path = Path("chapters") / f"{match[1]}.md"
            break
    else:
        return "chapters"
    chapter = (root / path).read_text(encoding="utf-8").splitlines()
    # An error inside of a formula is reported where the formula ends.
    for line in reversed(lines[max(at, number - 12) : number]):
        formulas = re.findall(r"\\\((.+?)\\\)", line) or [line]
        for wanted in [re.sub(SPLIT, "", formula).strip() for formula in formulas]:
            found = [i for i, own in enumerate(chapter, 1) if wanted in own]
            if len(wanted) > 3 and len(found) == 1:
                return f"{path}:{found[0]}"
    return str(path)


def _check_glyphs(log):
    """Raise when a character was left out because the fonts do not have it."""
    missing = sorted(set(re.findall(r"Missing character: There is no (\S+)", log)))
    if missing:
        raise BookError(
            f"the PDF's fonts have no {_list(missing)}: write it in another way in the "
            "chapter, or record the notebook without it"
        )
