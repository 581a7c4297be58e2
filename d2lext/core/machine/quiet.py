"""Imports a library without its start-up log."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Hold back what the block, including C++ code, writes to standard error.

    It is dropped when the block succeeds and shown when it raises.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error, as in a windowed program
        yield
        return
    with tempfile.TemporaryFile() as held:
        sys.stderr.flush()
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
