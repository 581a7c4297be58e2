"""Import a library without the log that its start-up writes."""

import contextlib
import os
import sys
import tempfile


@contextlib.contextmanager
def quiet_stderr():
    """Hold back what the block, C++ code included, writes to standard error.

    It is dropped when the block succeeds and shown when it raises.
    """
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error, as in a program with windows only
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
