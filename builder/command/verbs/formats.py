"""Verbs that write, serve and open the formats of the book."""

import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from builder.command import last_build
from builder.command.options import (
    BACKEND,
    SOLUTIONS,
    backends,
    frameworks,
    option,
    port,
)
from builder.command.registry import verb
from builder.errors import BookError
from builder.setup import environment
from d2lext.core.frameworks import IDS, TITLES


@verb("html")
def html(args: Namespace, root: Path) -> None:
    """Write the site from the recorded notebooks."""
    from builder.command import check
    from builder.publishing.site import Site
    from builder.source.book import Book

    site = Site(Book(root), last_build.site(root).parent)
    check.report(site.stale)
    print(f"site: {site.write()}")


@verb("pdf --no-solutions", [BACKEND, SOLUTIONS])
def pdf(args: Namespace, root: Path) -> None:
    """Write a PDF for each framework."""
    _write_volumes("pdf", args, root)


@verb("epub --backend jax", [BACKEND, SOLUTIONS])
def epub(args: Namespace, root: Path) -> None:
    """Write an EPUB for each framework."""
    from builder.sphinxext import katex

    katex.folder()  # fetched once, not by each process
    _write_volumes("epub", args, root)


@verb("slides --backend torch", [BACKEND])
def slides(args: Namespace, root: Path) -> None:
    """Write slides: a deck for each framework and chapter."""
    from builder.command import check
    from builder.notebooks.edition import editions
    from builder.publishing import slides
    from builder.source.book import Book

    book = Book(root)
    for backend in backends(args):
        own = list(editions(book, backends=[backend]))
        check.report_stale(own)
        print(f"slides: {slides.build(own, root / '_build' / 'slides' / backend)}")


@verb("student --backend torch", [BACKEND])
def student(args: Namespace, root: Path) -> None:
    """Write the students' notebooks and the instructor's."""
    from builder.command import check
    from builder.notebooks.edition import editions
    from builder.publishing import student
    from builder.source.book import Book

    own = list(editions(Book(root), backends=backends(args)))
    check.report_stale(own)
    for folder in student.build(own, root / "_build"):
        print(f"notebooks: {folder}")


@verb(
    "serve",
    [
        option(
            "--port",
            type=port,
            metavar="N",
            help="the port to listen on (default: the first free one from 8000)",
        ),
        option(
            "--host",
            default="127.0.0.1",
            help="the address to listen on (default: this computer only)",
        ),
    ],
)
def serve(args: Namespace, root: Path) -> None:
    """Build and serve the site, and rebuild it when a chapter changes."""
    from builder.command import check
    from builder.publishing import serve
    from builder.publishing.site import Site
    from builder.source.book import Book

    out = last_build.site(root).parent

    def build() -> None:
        site = Site(Book(root), out)
        check.report(edition for edition in site.stale if edition.changed)
        names = {
            f"{edition.chapter.name} ({TITLES[edition.backend]})"
            for edition in site.stale
            if not edition.changed
        }
        if names:
            print(f"stale, shown with old outputs: {', '.join(sorted(names))}")
        site.write()

    names = ("chapters", "notebooks", *last_build.BOOKS)
    watched = [root / name for name in names]
    serve.serve(root, out, build, args.host, args.port, watched=watched)


@verb(
    "lab --backend torch",
    [
        BACKEND,
        option(
            "edition",
            nargs="?",
            choices=("student", "instructor"),
            help="open the notebooks that `student` wrote (default: the book's own)",
        ),
    ],
    needs=lambda args: {"book", "lab", *frameworks(args)},
)
def lab(args: Namespace, root: Path) -> int:
    """Open the notebooks in JupyterLab."""
    folder = root / "_build" / args.edition if args.edition else root / "notebooks"
    if args.backend and len(args.backend) == 1:
        folder /= args.backend[0]
    if not folder.is_dir():
        writer = "student" if args.edition else "notebooks"
        raise BookError(
            f"there is no folder {folder.relative_to(root)}: write it with "
            f"python build.py {writer}"
        )
    where = [str(folder)]
    if not args.edition:
        # Jupyter shows nothing above its root, and images are in chapters/.
        url = f"/lab/tree/{folder.relative_to(root).as_posix()}"
        where = [f"--ServerApp.root_dir={root}", f"--LabApp.default_url={url}"]
    # Jupyter refuses to run as root, often a container's only user.
    as_root = ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
    python, env = environment.interpreter(args.backend or IDS), dict(os.environ)
    if any(environment.interpreter([name]) != sys.executable for name in IDS):
        where.append(
            "--AsyncMappingKernelManager.kernel_manager_class=builder.notebooks.lab.Manager"
        )
        path = env.get("PYTHONPATH")
        env["PYTHONPATH"] = os.pathsep.join([str(root), *([path] if path else [])])
    command = [python, "-P", "-m", "jupyter", "lab", *as_root, *where]
    return subprocess.call(command, env=env)


def _write_volumes(kind: str, args: Namespace, root: Path) -> None:
    """Write the whole book for each framework; the frameworks need not be installed."""
    from builder.publishing import parallel

    tasks = [(kind, root, backend, args.solutions) for backend in frameworks(args)]
    for path, is_written in parallel.side_by_side(_write_volume, tasks):
        print(f"{path}{'' if is_written else ' (nothing has changed)'}", flush=True)


def _write_volume(
    kind: str, root: Path, backend: str, solutions: bool
) -> tuple[Path, bool]:
    from builder.command import check
    from builder.notebooks.edition import editions
    from builder.publishing import forms
    from builder.source.book import Book

    own = list(editions(Book(root), backends=[backend]))
    check.report_stale(own)
    return forms.write_volume(kind, own, solutions)
