"""Parses the command line into a verb and its options."""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable

from builder.command.verbs import VERBS


def parser() -> ArgumentParser:
    """The parser of `python build.py`."""
    result = ArgumentParser(
        prog="build.py",
        description="Build and test the book. Without a verb: run stale notebooks, write "
        "the site and print its address.",
        epilog="Each verb has its own help: python build.py run --help",
    )
    verbs = result.add_subparsers(dest="verb", metavar="VERB")
    for verb in VERBS.values():
        sub = verbs.add_parser(
            verb.name,
            help=verb.summary[0].lower() + verb.summary[1:].rstrip("."),
            description=verb.summary,
            epilog=f"Example: python build.py {verb.example}".rstrip(),
        )
        for add in verb.options:
            add(sub)
    return result


def parse(argv: Iterable[str]) -> Namespace:
    """The parsed arguments; the verb defaults to `all`, and each backend occurs once."""
    argv = list(argv)
    if not argv or (argv[0].startswith("-") and argv[0] not in ("-h", "--help")):
        argv.insert(0, "all")
    args = parser().parse_args(argv)
    args.backend = list(dict.fromkeys(getattr(args, "backend", None) or [])) or None
    return args


def needs(args: Namespace) -> set[str]:
    """The extras that the verb needs before it starts."""
    return VERBS[args.verb].needs(args)
