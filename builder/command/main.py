"""Runs a command line, and turns errors into messages and an exit status."""

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from builder.command import arguments
from builder.command.verbs import VERBS
from builder.errors import BookError

# The disk is full, or what is on it may not be read or written.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
ROOT = Path(__file__).resolve().parents[2]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the verb in `argv`, by default the process's own arguments."""
    try:
        args = arguments.parse(sys.argv[1:] if argv is None else argv)
        if data := os.environ.get("D2LEXT_DATA"):
            # Kernels start elsewhere.
            os.environ["D2LEXT_DATA"] = os.path.abspath(os.path.expanduser(data))
        return VERBS[args.verb].run(args, ROOT) or 0
    except BookError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: earlier recordings are unchanged", file=sys.stderr)
        return 130
    except BrokenPipeError:  # nobody reads our output any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in DISK:
            raise
        place = error.filename or "a file"
        remedy = "free some space, or change its owner or mode, and try again"
        print(f"error: {place} ({error.strerror}): {remedy}", file=sys.stderr)
        return 1
