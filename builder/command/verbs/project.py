"""Verbs that set up, check, test and measure the project."""

import os
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path

from benchmarks import ALONE
from benchmarks import NAMES as BENCHMARKS
from builder.command.options import BACKEND, backends, frameworks, option, positive
from builder.command.registry import verb
from builder.errors import BookError
from builder.setup import builds, environment, versions
from d2lext.core.frameworks import TITLES


def _everything(args: Namespace) -> set[str]:
    lab = set() if args.backend else {"lab"}
    return {"book", "test", *frameworks(args), *lab}


@verb(
    "setup --backend torch",
    [
        BACKEND,
        option(
            "--gpu",
            choices=builds.OPTIONS,
            help="install builds for NVIDIA's GPUs, with this CUDA or none; remembered "
            "(default: auto, what this machine's driver and card can use; cuda11: MXNet's "
            "build, too, on cards of 2014 to 2021, untried)",
        ),
    ],
    needs=_everything,
)
def setup(args: Namespace, root: Path) -> None:
    """Install what the book needs."""
    from builder.sphinxext import katex

    katex.folder()  # KaTeX, which is not a Python package
    print(environment.summary(sys.executable, _everything(args)))


@verb("check", [BACKEND], needs=lambda args: {"book", "test"})
def check(args: Namespace, root: Path) -> None:
    """Check style, types and chapters, and find what is stale."""
    from builder.command import check

    problems = check.problems(root, backends(args))
    for problem in problems:
        print(problem)
    if problems:
        raise BookError(
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''} found"
        )
    print("no problems found")


@verb(
    "test --quick",
    [
        BACKEND,
        option("--quick", action="store_true", help="skip slow tests"),
        option(
            "--versions",
            choices=versions.CHOICES,
            help="only the library's tests, each framework in an environment of its own "
            "with the oldest or the newest versions that the library allows",
        ),
    ],
    needs=lambda args: set() if args.versions else {"book", "test", *frameworks(args)},
)
def test(args: Namespace, root: Path) -> int:
    """Run all tests, and every notebook against its recording."""
    names = backends(args)
    if args.versions:
        return _test_versions(args, names, root)
    paths = ["tests"]
    if not args.quick:
        paths += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=600"]
        paths += notebooks_to_test(root, names)
    return _pytest(environment.interpreter(names), paths, names, args.quick, root)


def _test_versions(args: Namespace, names: Sequence[str], root: Path) -> int:
    """Test the library with each framework, in an environment of its own."""
    print("left out: notebooks, and the tests of what makes the book")
    # Warnings are not errors here: those of other libraries may be years old.
    paths = ["tests/core", "tests/backends", "-W", "default"]
    statuses = []
    for name in names:
        python, installed = versions.make(args.versions, name)
        print(f"{TITLES[name]}, {args.versions} versions: {installed}", flush=True)
        statuses.append(_pytest(python, paths, [name], args.quick, root))
    return max(statuses)


def _pytest(
    python: str, paths: Sequence[str], backends: Sequence[str], quick: bool, root: Path
) -> int:
    from d2lext.core.machine import processor

    # One thread per process: more threads than cores are many times slower. One process
    # more than cores, since some wait, such as for a browser. Each takes 2 to 4 GB.
    processes = min(4, processor.num_cores() + 1)
    variables = {
        **os.environ,
        "D2LEXT_FAST": "1",
        "D2LEXT_BACKENDS": ",".join(backends),
        "OMP_NUM_THREADS": "1",
        "TQDM_DISABLE": "1",
    }
    # The builder comes before pytest's other plugins, for what it leaves out.
    command = [python, "-m", "pytest", "-p", "builder", "-rs", *paths]
    command += ["-n", str(processes), "--dist", "loadscope"]
    command += ["--no-loadscope-reorder"]  # tests/conftest.py puts the longest first
    command += ["-m", "not slow"] if quick else []
    return subprocess.call(command, cwd=root, env=variables)


def notebooks_to_test(root: Path, backends: Sequence[str]) -> list[str]:
    """The notebooks' paths; a shared chapter's once, if all frameworks were requested."""
    from builder.notebooks.edition import editions
    from builder.source.book import Book

    paths = []
    for edition in editions(Book(root), backends=backends):
        is_shared = edition.chapter.is_shared
        if not {*edition.backends} <= {*backends}:
            print(f"{edition.shown_path} needs all four frameworks: skipped")
        elif not is_shared or edition.backend == backends[0]:
            paths.append(edition.shown_path)
    return paths


def _benchmark(name: str) -> str:
    # Not with `choices`: argparse would refuse an empty list of names.
    known = BENCHMARKS + ALONE
    if name not in known:
        raise BookError(f"unknown benchmark {name!r}: choose from {', '.join(known)}")
    return name


def _rounds(parser: ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--quick", action="store_true", help="only a few rounds, to check that it works"
    )
    group.add_argument(
        "--full", action="store_true", help="whole epochs instead of a few batches"
    )


def _measured(args: Namespace) -> set[str]:
    names = frameworks(args)
    # d2l reads data with TensorFlow, and Keras is a peer of JAX.
    return {"book", *names, *(["tensorflow"] if "jax" in names else [])}


@verb(
    "bench step --backend torch",
    [
        BACKEND,
        option(
            "name",
            nargs="*",
            type=_benchmark,
            help=f"{', '.join(BENCHMARKS)} (default: all, about an hour); or "
            f"{', '.join(ALONE)}, on a machine that has one",
        ),
        option(
            "--minutes",
            type=positive,
            default=10,
            metavar="N",
            help="how long gpu may take (default: 10); it begins with what tells most",
        ),
        option("--json", metavar="PATH", help="also write the results to PATH"),
        _rounds,
        option(
            "--precision",
            choices=("auto", "bf16", "fp32"),
            default="auto",
            help="the precision of our training steps (default: auto, the fastest)",
        ),
    ],
    needs=_measured,
)
def bench(args: Namespace, root: Path) -> int:
    """Compare speed and memory with d2l and other libraries."""
    # In another process, because this one has loaded the book's modules.
    python = environment.interpreter(backends(args))
    command = [python, "-m", "benchmarks", *args.name]
    for backend in backends(args):
        command += ["--backend", backend]
    command += ["--precision", args.precision]
    command += ["--minutes", str(args.minutes)]
    command += ["--quick"] if args.quick else []
    command += ["--full"] if args.full else []
    command += ["--json", os.path.abspath(args.json)] if args.json else []
    return subprocess.call(command, cwd=root)
