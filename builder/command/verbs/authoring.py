"""Verbs for authors: from a chapter to its notebooks, and back."""

import sys
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from builder.command import last_build
from builder.command.options import (
    BACKEND,
    CHAPTERS,
    EPOCHS,
    FAST,
    backends,
    frameworks,
    option,
)
from builder.command.registry import verb
from builder.errors import BookError
from builder.setup import environment


@verb(
    "all --all-forms",
    [
        BACKEND,
        FAST,
        EPOCHS,
        option(
            "--all-forms",
            action="store_true",
            help="also write what takes longer: the PDFs, and students' notebooks",
        ),
    ],
)
def all_(args: Namespace, root: Path) -> None:
    """Run stale notebooks; write the site, EPUBs and slides (the default)."""
    page = last_build.site(root)
    if last_build.is_current(root) and not args.all_forms:
        print(f"nothing has changed; site: {page}")
        return
    from builder.command import formulas
    from builder.notebooks.edition import check_unedited, editions
    from builder.notebooks.run import record
    from builder.publishing import forms
    from builder.publishing.site import Site
    from builder.source import export
    from builder.source.book import Book

    book = Book(root)
    check_unedited(editions(book, backends=backends(args)))
    # Nothing said without KaTeX, which the site installs: it finds the same mistakes.
    formulas.check(book.chapters, note=lambda text: None)
    _report_exports(export.write(book))
    for edition in editions(book, backends=backends(args)):
        if not edition.is_stale:
            edition.write()
            continue
        print(f"{edition.title} is stale, as it {edition.stale}")
        _install(edition.backends)
        record(edition, fast=args.fast, epochs=args.epochs)
    chosen, left_out = forms.chosen(book, args.all_forms)
    faults = _write_forms(chosen, frameworks(args), root)
    print(f"site: {Site(book, page.parent).write()}")
    for reason in left_out:
        print(reason)
    if faults:  # the site has what they were before
        raise BookError("\n".join(faults))
    if not args.backend:
        last_build.stamp(root)


@verb(
    "run densenet --backend jax",
    [BACKEND, FAST, EPOCHS, CHAPTERS],
    needs=lambda args: {"book", *frameworks(args)},
)
def run(args: Namespace, root: Path) -> None:
    """Execute notebooks and record their outputs."""
    from builder.command import formulas
    from builder.notebooks.edition import Edition, editions
    from builder.notebooks.run import record
    from builder.source import export
    from builder.source.book import Book

    book = Book(root)
    chapters = book.select(args.chapter)
    formulas.check(chapters)
    chosen: list[Edition] = []
    for chapter in chapters:
        # One recording of a shared chapter serves every framework.
        names = backends(args)[: 1 if chapter.is_shared else None]
        chosen += editions(book, [chapter], names)
    needed = {name for edition in chosen for name in edition.backends}
    if not needed <= set(frameworks(args)):  # a shared chapter may use all
        _install(needed)
    _report_exports(export.write(book))
    for edition in chosen:
        record(edition, fast=args.fast, epochs=args.epochs)


@verb("notebooks", [BACKEND, CHAPTERS])
def notebooks(args: Namespace, root: Path) -> None:
    """Write the notebooks from the chapters."""
    from builder.command import formulas
    from builder.notebooks.edition import check_unedited, editions
    from builder.source.book import Book

    book = Book(root)
    chapters = book.select(args.chapter)
    chosen = list(editions(book, chapters, backends(args)))
    check_unedited(chosen)
    formulas.check(chapters)
    for edition in chosen:
        if edition.write():
            print(f"wrote {edition.path.relative_to(root).as_posix()}")


@verb("sync densenet --backend jax", [BACKEND, CHAPTERS])
def sync(args: Namespace, root: Path) -> None:
    """Carry edits made in notebooks back to their chapters."""
    from builder.command import check
    from builder.notebooks.edition import editions
    from builder.source.book import Book
    from builder.sync import sync

    book = Book(root)
    done = sync.sync(book, book.select(args.chapter), backends(args))
    print("\n".join(done or ["nothing to carry back: no notebook was edited"]))
    if done:
        print("notebooks rewritten; python build.py runs those whose code has changed")
        book = Book(root)
    chosen = editions(book, book.select(args.chapter), backends(args))
    check.report(edition for edition in chosen if edition.changed)


@verb(
    'new "Wide Networks"',
    [option("title", help="its title, which also names the file")],
)
def new(args: Namespace, root: Path) -> None:
    """Write a skeleton for a new chapter."""
    from builder.source import new

    path = new.write(root, args.title).relative_to(root)
    print(f"wrote {path}\nnext: edit it, and view it with python build.py serve")


@verb("export", [BACKEND])
def export(args: Namespace, root: Path) -> None:
    """Write the chapters' definitions to the library."""
    from builder.source import export
    from builder.source.book import Book

    _report_exports(export.write(Book(root), backends(args)))


def _write_forms(chosen: Iterable[str], names: Iterable[str], root: Path) -> list[str]:
    """Write these forms in these frameworks, side by side; return what is wrong."""
    from builder.publishing import forms, parallel
    from builder.sphinxext import katex

    katex.folder()  # fetched once, not by each process
    tasks = [(form, root, name) for form in chosen for name in names]
    found = parallel.side_by_side(_write_form, tasks)
    faults = {task[0]: fault for task, fault in zip(tasks, found, strict=True) if fault}
    for form in chosen:
        if form not in faults:
            print(f"{forms.FORMS[form]}: {root / '_build' / form}", flush=True)
    return list(dict.fromkeys(faults.values()))


def _write_form(form: str, root: Path, backend: str) -> str:
    from builder.publishing import forms

    try:
        forms.write(form, root, backend)
    except BookError as error:
        return str(error)
    return ""


def _report_exports(paths: Iterable[Path]) -> None:
    for path in paths:
        print(f"exported {path}")


def _install(backends: Iterable[str]) -> None:
    """Install frameworks; if that takes another environment, restart in it."""
    python = environment.ensure({"book", *backends})
    if python != sys.executable:
        environment.hand_over(python, sys.argv)
