"""The command line: its verbs, what each needs installed, and what each does.

Only the standard library is imported here, because build.py reads the command line
before the environment exists.
"""

import argparse
import os
import sys
from pathlib import Path

from builder import files
from builder.errors import BookError
from d2lext.core.frameworks import IDS, backend_id

ROOT = Path(__file__).resolve().parents[2]

VERBS = {
    # verb: (what it does, example, extras it needs besides the frameworks it runs)
    "all": ("run what is stale and write the site (the default)", "", {"book"}),
    "setup": ("install what the book needs", "setup --backend torch", set()),
    "notebooks": ("write the notebooks from the chapters", "notebooks", {"book"}),
    "run": (
        "execute notebooks and record them",
        "run densenet --backend jax",
        {"book"},
    ),
    "html": ("write the site from the recorded notebooks", "html", {"book"}),
    "pdf": ("write a PDF for each framework", "pdf --no-solutions", {"book"}),
    "epub": ("write an EPUB for each framework", "epub --backend jax", {"book"}),
    "slides": ("write the slides of the lectures", "slides --backend torch", {"book"}),
    "student": (
        "write the students' notebooks and the instructor's",
        "student --backend torch",
        {"book"},
    ),
    "serve": (
        "write the site, show it, and write it again when a chapter changes",
        "serve",
        {"book"},
    ),
    "sync": (
        "bring edits made in notebooks back to their chapters",
        "sync densenet --backend jax",
        {"book"},
    ),
    "new": ("write the skeleton of a chapter", 'new "Wide Networks"', {"book"}),
    "export": ("write the chapters' definitions to the library", "export", {"book"}),
    "lab": ("open the notebooks in JupyterLab", "lab --backend torch", {"book", "lab"}),
    "check": ("check style, chapters and what is stale", "check", {"book", "test"}),
    "test": ("check everything", "test --quick", {"book", "test"}),
    "bench": (
        "measure speed and memory, beside d2l's way and other libraries",
        "bench step --backend torch",
        {"book"},
    ),
}
RUNS_FRAMEWORKS = {"run", "lab", "test", "bench"}
BENCHMARKS = ("step", "peers", "epoch", "memory", "precision")


def parser():
    """The parser of `python build.py`."""
    result = argparse.ArgumentParser(
        prog="build.py",
        description="Build and test the book. Without a verb: run what is stale, write "
        "the site and say where it is.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Each verb has its own help: python build.py run --help",
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--backend",
        action="append",
        metavar="NAME",
        help=f"only this framework, may be repeated: {', '.join(IDS)} (pytorch, tf)",
    )
    length = argparse.ArgumentParser(add_help=False)
    length.add_argument(
        "--fast",
        action="store_true",
        help="train for a few steps only; the outputs say so, and `check` refuses them",
    )
    length.add_argument(
        "--epochs",
        type=_positive,
        metavar="N",
        help="train for at most N epochs; the outputs say so",
    )
    verbs = result.add_subparsers(dest="verb", metavar="VERB")
    for verb, (what, example, _) in VERBS.items():
        parents = [] if verb in ("html", "serve", "new") else [common]
        parents += [length] if verb in ("all", "run") else []
        sub = verbs.add_parser(
            verb,
            parents=parents,
            help=what,
            description=f"{what[0].upper()}{what[1:]}.",
            epilog=f"Example: python build.py {example}".rstrip(),
        )
        if verb in ("run", "notebooks", "sync"):
            sub.add_argument(
                "chapter", nargs="*", help="such as densenet (default: all)"
            )
        if verb in ("pdf", "epub"):
            sub.add_argument(
                "--solutions",
                action=argparse.BooleanOptionalAction,
                default=True,
                help="after each exercise, as in the notebooks (the default); without "
                f"them: NAME-no-solutions.{verb}",
            )
        if verb == "lab":
            sub.add_argument(
                "edition",
                nargs="?",
                choices=("student", "instructor"),
                help="what `student` wrote for them (default: the book's notebooks)",
            )
        if verb == "test":
            sub.add_argument(
                "--quick", action="store_true", help="leave out what takes long"
            )
        if verb == "bench":
            _add_bench(sub)
        if verb == "new":
            sub.add_argument("title", help="of the chapter; its file is named after it")
        if verb == "serve":
            sub.add_argument(
                "--port",
                type=_positive,
                metavar="N",
                help="(default: from 8000, a free one)",
            )
            sub.add_argument(
                "--host",
                default="127.0.0.1",
                help="whom to answer (default: this computer alone)",
            )
    return result


def _add_bench(sub):
    # Not as choices: argparse then refuses an empty list of names.
    sub.add_argument(
        "name", nargs="*", help=f"{', '.join(BENCHMARKS)} (default: all, an hour)"
    )
    sub.add_argument("--json", metavar="PATH", help="write the results there, too")
    length = sub.add_mutually_exclusive_group()
    length.add_argument(
        "--quick", action="store_true", help="few rounds: whether it works"
    )
    length.add_argument(
        "--full", action="store_true", help="whole epochs instead of a few batches"
    )
    sub.add_argument(
        "--precision",
        choices=("auto", "bf16", "fp32"),
        default="auto",
        help="of our training steps (default: auto, the fastest)",
    )


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be an integer >= 1, got {text!r}")
    return int(text)


def parse(argv):
    """The parsed arguments, the verb `all` when none is given; backends as ids."""
    argv = list(argv)
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv.insert(0, "all")
    args = parser().parse_args(argv)
    names = getattr(args, "backend", None) or []
    try:
        args.backend = list(dict.fromkeys(map(backend_id, names))) or None
    except ValueError as error:
        raise BookError(str(error)) from error
    for name in args.name if args.verb == "bench" else ():
        if name not in BENCHMARKS:
            raise BookError(
                f"unknown benchmark {name!r}: choose from {', '.join(BENCHMARKS)}"
            )
    return args


def needs(args):
    """The extras that the verb needs before it starts."""
    if args.verb == "setup":
        everything = set() if args.backend else {"lab"}
        return {"book", "test", *(args.backend or IDS), *everything}
    extras = set(VERBS[args.verb][2])
    if args.verb in RUNS_FRAMEWORKS:
        extras |= set(args.backend or IDS)
    if args.verb == "bench" and "jax" in extras:
        extras.add("tensorflow")  # d2l reads data with it, and has Keras for a peer
    return extras


def site(root):
    """The first page of the site."""
    return root / "_build" / "html" / "index.html"


def unchanged(root):
    """Whether the last complete build had the same chapters, notebooks and library."""
    stamp = root / "_build" / "complete"
    return site(root).exists() and stamp.exists() and stamp.read_text() == state(root)


def state(root):
    """A text that changes with anything that the site or a notebook is made from."""
    names = ("chapters", "notebooks", "d2lext", "constraints.txt")
    return files.fingerprint(*(root / name for name in names))


def main(argv=None):
    """Run the command line; returns the exit status."""
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        if args.verb == "all" and unchanged(ROOT):
            print(f"nothing has changed; site: {site(ROOT)}")
            return 0
        from builder.command import commands

        return commands.run(args, ROOT) or 0
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: what was recorded before is as it was", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
