"""What the verbs of the command line do."""

import os
import subprocess
import sys
import tempfile

from builder import files
from builder.command import check, cli
from builder.errors import BookError
from builder.notebooks import run as runner
from builder.notebooks.edition import check_unedited, editions
from builder.publishing import epub, pdf, serve, single, site, slides, student
from builder.setup import environment
from builder.source import export, new
from builder.source.book import Book
from builder.sphinxext import formulas
from builder.sync import sync
from d2lext.core.frameworks import IDS, TITLES
from d2lext.core.machine import processor


def run(args, root):
    """Carry out the verb in `args`; returns an exit status."""
    if data := os.environ.get("D2LEXT_DATA"):
        os.environ["D2LEXT_DATA"] = os.path.abspath(data)  # kernels run elsewhere
    return globals()[f"_{args.verb}"](args, root)


def _setup(args, root):
    """Fetch what building needs beyond the packages; say what is there."""
    formulas.files()
    print(environment.summary(sys.executable, cli.needs(args)))


def _all(args, root):
    """Export, run what is stale, write the other notebooks anew, write the site."""
    book = Book(root)
    check_unedited(editions(book, backends=_backends(args)))
    _report_exports(export.write(book))
    for edition in editions(book, backends=_backends(args)):
        if not edition.is_stale:
            edition.write()
            continue
        print(f"{edition.title} is stale: its code has changed since it was recorded")
        _install(edition.backends)
        runner.record(edition, fast=args.fast, epochs=args.epochs)
    _write_site(book)
    if not args.backend:
        files.write(root / "_build" / "complete", cli.state(root))


def _notebooks(args, root):
    book = Book(root)
    chosen = list(editions(book, _chapters(book, args), _backends(args)))
    check_unedited(chosen)
    for edition in chosen:
        if edition.write():
            print(f"wrote {edition.shown_path}")


def _run(args, root):
    book = Book(root)
    chosen = _chapters(book, args)
    _report_exports(export.write(book))
    for chapter in chosen:
        backends = _backends(args)[: 1 if chapter.is_shared else None]
        for edition in editions(book, [chapter], backends):
            runner.record(edition, fast=args.fast, epochs=args.epochs)


def _html(args, root):
    book = Book(root)
    _report_stale(book)
    return _write_site(book)


def _pdf(args, root):
    _write_editions("pdf", args, root)


def _epub(args, root):
    formulas.files()  # fetched once, not by each process
    _write_editions("epub", args, root)


def _slides(args, root):
    """A deck for each framework and chapter."""
    book = Book(root)
    for backend in _backends(args):
        out = root / "_build" / "slides" / backend
        print(f"slides: {slides.build(book, out, backend)}")


def _student(args, root):
    """Both editions, for those who learn with the book and those who teach with it."""
    book = Book(root)
    for folder in student.build(book, root / "_build", _backends(args)):
        print(f"notebooks: {folder}")


def _new(args, root):
    path = new.write(root, args.title).relative_to(root)
    print(f"wrote {path}\nnext: edit it, and look at it with python build.py serve")


def _serve(args, root):
    """The site in a browser, as it is after each edit; nothing is executed."""

    def build():
        book = Book(root)
        names = {
            f"{edition.chapter.name} ({TITLES[edition.backend]})"
            for edition in check.stale_editions(book)
        }
        if names:
            print(f"stale, shown with old outputs: {', '.join(sorted(names))}")
        site.write(book, cli.site(root).parent)

    serve.serve(
        root,
        cli.site(root).parent,
        build,
        args.host,
        args.port,
        watched=[root / "chapters", root / "notebooks"],
    )


def _sync(args, root):
    """Bring edits of notebooks back to the chapters; rewrite the notebooks from those."""
    book = Book(root)
    done = sync.sync(book, _chapters(book, args), _backends(args))
    print("\n".join(done or ["nothing to bring back: no notebook was edited"]))
    if done:
        print("notebooks rewritten; python build.py runs those whose code has changed")


def _export(args, root):
    _report_exports(export.write(Book(root), _backends(args)))


def _lab(args, root):
    folder = root / "_build" / args.edition if args.edition else root / "notebooks"
    if args.backend and len(args.backend) == 1:
        folder /= args.backend[0]
    if not folder.is_dir():
        writes = "student" if args.edition else "notebooks"
        raise BookError(
            f"there is no folder {folder.relative_to(root)} to open: python build.py "
            f"{writes} writes it"
        )
    # Jupyter refuses to run as root, which in a container is all that there is.
    root_too = ["--allow-root"] if os.name == "posix" and os.geteuid() == 0 else []
    command = [sys.executable, "-P", "-m", "jupyter", "lab", *root_too, str(folder)]
    return subprocess.call(command)


def _check(args, root):
    problems = check.problems(root, _backends(args))
    for problem in problems:
        print(problem)
    if problems:
        raise BookError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found"
        )
    print("nothing to mend")


def _test(args, root):
    """pytest over the tests and, with nbval, over every notebook."""
    backends = _backends(args)
    # A process for each core and a thread for each process: threads that wait for each
    # other on a busy core take many times as long. Memory: about 4 GB a process.
    processes = min(4, processor.num_cores())
    variables = {
        **os.environ,
        "D2LEXT_FAST": "1",
        "D2LEXT_BACKENDS": ",".join(backends),
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
        # What one test has compiled, another one or its kernel takes: a third of the time.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.3",
    }
    command = [sys.executable, "-m", "pytest", "-rs", "tests"]
    command += ["-n", str(processes), "--dist", "loadscope"]
    command += ["--no-loadscope-reorder"]  # tests/conftest.py puts the longest first
    if args.quick:
        command += ["-m", "not slow"]
    else:
        command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
        command += notebooks_to_test(root, backends)
    with tempfile.TemporaryDirectory() as cache:
        variables["JAX_COMPILATION_CACHE_DIR"] = cache
        return subprocess.call(command, cwd=root, env=variables)


def _bench(args, root):
    """benchmarks/ in a process of its own: this one has the book's modules loaded."""
    command = [sys.executable, "-m", "benchmarks", *args.name]
    for backend in _backends(args):
        command += ["--backend", backend]
    command += ["--precision", args.precision]
    command += ["--quick"] if args.quick else []
    command += ["--full"] if args.full else []
    command += ["--json", os.path.abspath(args.json)] if args.json else []
    return subprocess.call(command, cwd=root)


def notebooks_to_test(root, backends):
    """The notebooks' paths; of four that are equal one, if all frameworks are there."""
    paths = []
    for edition in editions(Book(root), backends=backends):
        is_shared = edition.chapter.is_shared
        if is_shared and set(backends) != set(IDS):
            print(f"{edition.shown_path} needs all four frameworks: left out")
        elif not is_shared or edition.backend == backends[0]:
            paths.append(edition.shown_path)
    return paths


def _chapters(book, args):
    return [book.find(name) for name in args.chapter] or book.chapters


def _write_editions(kind, args, root):
    """A book for each framework; none of them needs its framework."""
    backends = args.backend or IDS
    _report_stale(Book(root), backends)
    tasks = [(kind, root, backend, args.solutions) for backend in backends]
    for path, written in single.side_by_side(_write_edition, tasks):
        print(f"{path}{'' if written else ' (nothing has changed)'}", flush=True)


def _write_edition(kind, root, backend, solutions):
    out = root / "_build" / kind / single.file_name(backend, solutions, kind)
    pages = single.pages(Book(root), backend, solutions)
    module = {"pdf": pdf, "epub": epub}[kind]
    return out, module.build(root, out, pages, backend)


def _report_stale(book, backends=IDS):
    for edition in check.stale_editions(book, backends):
        print(
            f"{edition.title} is stale: python build.py run {edition.chapter.name} "
            f"--backend {edition.backend}"
        )


def _report_exports(paths):
    for path in paths:
        print(f"exported {path}")


def _backends(args):
    """The frameworks asked for, or all that this kind of machine can have."""
    if args.backend:
        return args.backend
    return [name for name in IDS if name != "mxnet" or environment.mxnet_has_wheels()]


def _install(backends):
    """Set up frameworks; go on in the environment that has them, if it is another."""
    python = environment.ensure({"book", *backends})
    if python != sys.executable:
        os.execv(python, [python, "-P", *sys.argv])


def _write_site(book):
    page = site.write(book, cli.site(book.root).parent)
    print(f"site: {page}")
