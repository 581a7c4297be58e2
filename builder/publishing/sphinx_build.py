"""Runs Sphinx on a Source, checks its warnings, and swaps in the complete output.

A build that fails leaves the last good output in place.
"""

import contextlib
import io
import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from builder import files
from builder.errors import BookError
from builder.publishing.sphinx_source import Source

BUILDER = Path(__file__).parents[1]  # with PACKAGES, the tools behind an output
WAITING = "waiting for another build to finish"
PACKAGES = (
    "sphinx",
    "furo",
    "griffelib",
    "myst-nb",
    "sphinx-design",
    "sphinx-revealjs",
    "sphinxcontrib-bibtex",
)
PAGED = "html"  # the builder that writes only pages that changed


@contextlib.contextmanager
def alone(out: Path, work: Path) -> Iterator[None]:
    """Let one build at a time use the folder `work`, to write `out` in the end.

    Raises BookError, and leaves `out` as it is, if the disk is full or not writable.
    """
    with files.explained(out):
        work.mkdir(parents=True, exist_ok=True)
        with files.locked(work / "lock", lambda: print(WAITING, flush=True)):
            yield


def build(source: Source, out: Path, work: Path, builder: str = "html") -> bool:
    """Write `source` into the folder `out` with Sphinx's `builder`.

    Skipped if nothing has changed since `out` was written; returns whether it was
    written. The folder `work` holds what Sphinx reads, and what it caches between builds.
    Raises BookError with all of Sphinx's warnings, each at its line of the chapter.
    """
    out, work = out.resolve(), work.resolve()
    form = work.name.partition("-")[0]  # in messages: pdf for pdf-torch
    folder, kept = work / "source", work / "kept"
    source.write(folder)
    tools, inputs = fingerprint(), fingerprint(folder)
    if _read(out / ".inputs") == inputs:
        return False
    if _read(kept / ".tools") != tools:
        shutil.rmtree(kept, ignore_errors=True)
    # Restored at the end: we do not trust the cache of a build that was interrupted.
    (kept / ".tools").unlink(missing_ok=True)
    written = kept / builder
    if builder != PAGED:
        shutil.rmtree(written, ignore_errors=True)
    kept.mkdir(parents=True, exist_ok=True)
    warned = _run(folder, kept, builder)
    files.write(kept / ".tools", tools)
    if warned:
        raise BookError(_located(warned, folder, form))
    _publish(written, out, inputs)
    return True


def publish(folder: Path, out: Path, make: Callable[[], Path]) -> bool:
    """Move the file that `make()` returns to `out`; `folder` is what it is made from.

    Skipped if `out` was made from `folder` as Sphinx last wrote it; returns whether the
    file was moved.
    """
    inputs, stamp = (folder / ".inputs").read_text(), folder.with_name("published")
    if out.is_file() and _read(stamp) == inputs:
        return False
    made = make()
    stamp.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists():
        shutil.copymode(out, made)
    os.replace(made, out)
    files.write(stamp, inputs)
    return True


def fingerprint(*paths: Path) -> str:
    """A hash of our code, the tools' versions, and all files in `paths` or below."""
    tools = [version(name) for name in PACKAGES]
    return f"{tools} {files.fingerprint(BUILDER, *paths)}"


def _read(path: Path) -> str | None:
    return path.read_text() if path.is_file() else None


def _run(folder: Path, kept: Path, builder: str) -> str:
    """Write the pages into `kept`/`builder`; return Sphinx's warnings, or ""."""
    from sphinx.application import Sphinx
    from sphinx.errors import SphinxError
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    from builder.publishing.changes import Changes

    warned = io.StringIO()
    try:
        with (
            patch_docutils(folder),
            docutils_namespace(),
            warnings.catch_warnings(),
        ):
            # Authors cannot fix extensions that use deprecated parts of Sphinx.
            warnings.simplefilter("ignore", PendingDeprecationWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            app = Sphinx(
                folder,
                confdir=folder,
                outdir=kept / builder,
                doctreedir=kept / "doctrees",
                buildername=builder,
                status=None,
                warning=warned,
            )
            changes = Changes(app, kept / "changes.json")
            app.build(force_all=builder != PAGED)
    except SphinxError as error:
        raise BookError(f"Sphinx could not build it: {error}") from error
    text = re.sub(r"\x1b\[[\d;]*m", "", warned.getvalue()).strip()
    changes.note(failed=bool(text))
    return text


def _located(warned: str, folder: Path, form: str) -> str:
    """Sphinx's warnings, each at its place in the book's own files."""
    text = re.sub(r": (WARNING|ERROR|CRITICAL): ", ": ", warned)
    text = re.sub(rf"{re.escape(str(folder))}/(\S+?)\.ipynb", r"chapters/\1.md", text)
    text = text.replace(f"{folder}{os.sep}", f"chapters{os.sep}")
    verb = "were" if form == "slides" else "was"
    return f"the {form} {verb} not written:\n{text}"


def _publish(new: Path, out: Path, inputs: str) -> None:
    """Replace the folder `out` by a copy of `new`, made from `inputs`."""
    ready, old = out.with_name(f"{out.name}.new"), out.with_name(f"{out.name}.old")
    for path in (ready, old):
        shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(new, ready)
    files.write(ready / ".inputs", inputs)
    if out.exists():
        shutil.copymode(out, ready)
        os.replace(out, old)
    os.replace(ready, out)
    shutil.rmtree(old, ignore_errors=True)
