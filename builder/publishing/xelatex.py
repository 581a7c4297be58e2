"""XeLaTeX typesets the LaTeX that Sphinx wrote; errors name their place in a chapter."""

import errno
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nbformat import NotebookNode

from builder import files
from builder.errors import BookError

PROGRAMS = ("latexmk", "xelatex", "rsvg-convert")
REMEDY = (
    "install TeX; on Debian and Ubuntu, apt-get install latexmk texlive-xetex "
    "texlive-latex-recommended texlive-latex-extra texlive-fonts-recommended tex-gyre "
    "fonts-texgyre fonts-dejavu-core librsvg2-bin"
)
FONTS = (
    "install a font that has it; on Debian and Ubuntu, apt-get install "
    "fonts-droid-fallback for Chinese and Japanese, fonts-nanum for Korean, "
    "fonts-symbola for emoji"
)
TIMEOUT_S = 300
SPACE = 2**23  # bytes: less is too little for the PDF of a book
SPLIT = r"\\(begin|end)\{split\}"  # what Sphinx puts around a formula


def check_programs() -> None:
    """Raise BookError if a program that a PDF needs is missing."""
    if names := missing():
        raise BookError(f"a PDF needs {names}, not found on this machine: {REMEDY}")


def missing() -> str:
    """The programs that a PDF needs and this machine lacks, in words."""
    names = [name for name in PROGRAMS if shutil.which(name) is None]
    return _list(names) if names else ""


def print_book(
    source: Path, run: Path, root: Path, pages: Mapping[str, NotebookNode]
) -> Path:
    """Typeset book.tex from `source` in the folder `run`; return the PDF's path.

    `pages` are the notebooks that it was made from.
    """
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    pdf = run / "book.pdf"
    command = ["latexmk", "-norc", "-xelatex", "-interaction=nonstopmode"]
    command += ["-halt-on-error", "-file-line-error", f"-outdir={run}", "book.tex"]
    # Long lines stay whole in the log, so that messages can be found in it. Fonts that
    # TeX does not have are not looked for as Metafont's, which takes a second a pass.
    variables = {**os.environ, "max_print_line": "10000", "MKTEXTFM": "0"}
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
            f"XeLaTeX did not finish within {TIMEOUT_S} s: see the end of "
            f"{run / 'book.log'}"
        ) from None
    except subprocess.CalledProcessError as error:
        _check_space(pdf)
        log = _log(run) or error.stderr.decode(errors="replace")
        raise BookError(_failure(log, source / "book.tex", root, run)) from error
    if not pdf.read_bytes().rstrip().endswith(b"%%EOF"):  # xdvipdfmx raises no error
        with files.explained(pdf):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    _check_glyphs(_log(run), root, pages)
    return pdf


def _log(run: Path) -> str:
    path = run / "book.log"
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _check_space(pdf: Path) -> None:
    """Raise BookError if the disk is full, of which TeX's log says nothing clear."""
    with files.explained(pdf), tempfile.TemporaryFile(dir=pdf.parent) as file:
        file.write(bytes(SPACE))


def _failure(log: str, tex: Path, root: Path, run: Path) -> str:
    """What stopped XeLaTeX, at its place in the chapter."""
    if match := re.search(r"File [`'](\S+?)' not found|font \"([^\"]+)\" cannot", log):
        return f"TeX lacks {match[1] or match[2]}: {REMEDY}"
    match = re.search(r"^\./\S+:(\d+): (.+)((?:\n.*){,8})", log, re.MULTILINE)
    if not match:
        return f"XeLaTeX could not print the book: see the end of {run / 'book.log'}"
    # TeX quotes the line up to what it could not read.
    quoted = re.search(r"^l\.\d+ (.*)$", match[3], re.MULTILINE)
    where = f" at {quoted[1].strip()!r}" if quoted else ""
    place = _place(tex.read_text(encoding="utf-8").split("\n"), int(match[1]), root)
    return f"{place}: LaTeX cannot print this: {match[2].rstrip('.')}{where}"


def _place(lines: Sequence[str], number: int, root: Path) -> str:
    """The chapter and, if the words are the same there, its line."""
    for at in range(min(number, len(lines)) - 1, -1, -1):
        if match := re.search(r"\\label\{\\detokenize\{([^:}]+)::doc\}\}", lines[at]):
            path = Path("chapters") / f"{match[1]}.md"
            break
    else:
        return "chapters"
    chapter = files.read(root / path, path).split("\n")
    # TeX reports an error inside a formula where the formula ends.
    for line in reversed(lines[max(at, number - 12) : number]):
        formulas = re.findall(r"\\\((.+?)\\\)", line) or [line]
        for wanted in [re.sub(SPLIT, "", formula).strip() for formula in formulas]:
            places = [i for i, text in enumerate(chapter, 1) if wanted in text]
            if len(wanted) > 3 and len(places) == 1:
                return f"{path}:{places[0]}"
    return str(path)


def _check_glyphs(log: str, root: Path, pages: Mapping[str, NotebookNode]) -> None:
    """Raise BookError if a character was dropped because the fonts lack it."""
    missing = sorted(set(re.findall(r"Missing character: There is no (\S)", log)))
    if missing:
        lines = [
            f"{_character_place(character, root, pages)}: no font on this machine has "
            f"{character} (U+{ord(character):04X})"
            for character in missing
        ]
        lines.append(f"Write it differently, as \\alpha in a formula, or {FONTS}")
        raise BookError("\n".join(lines))


def _character_place(
    character: str, root: Path, pages: Mapping[str, NotebookNode]
) -> str:
    """The first place of the character in a chapter, or in what its cells show."""
    for name, page in pages.items():
        path = Path("chapters") / f"{name}.md"
        text = files.read(root / path, path)
        if character in text:
            return f"{path}:{text.count(chr(10), 0, text.index(character)) + 1}"
        for cell in page.cells:
            shown = json.dumps(cell.get("outputs", []), ensure_ascii=False)
            if character in shown and cell.source in text:
                line = text.count("\n", 0, text.index(cell.source)) + 1
                return f"{path}:{line}: the output"
    return "chapters"


def _list(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
