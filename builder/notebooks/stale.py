"""Whether a recorded notebook still belongs to the code that produced it.

The hash covers the notebook's cells, and of the library each definition that they reach:
what reached code names, whatever file it is in and under whatever alias. A class counts
as a whole, with its bases. Of a module that is imported, so do the statements that do
more than define a name. Comments, docstrings, annotations, formatting and code that is
not reached make nothing stale.

Where a name may mean several things, each of them counts. A module that is passed on may
be asked for any attribute that reached code reads. Not seen are names put together while
the code runs (but for those that `core.names.exports` serves), side effects of computing
a constant, classes that their base class registers, and all that is not the library's
Python: other packages, data.
"""

import hashlib
from pathlib import Path

from builder.notebooks.reach import Reach
from builder.source.python import dump, parse


def code_hash(root: Path, backend: str, sources: list[str]) -> str:
    """The hash of the cells `sources` of a notebook for `backend`, and of the library.

    Raises FileNotFoundError if the cells need a module that the library lacks.
    """
    digest = hashlib.sha256()
    for source in sources:
        digest.update(dump(parse(source)).encode())
    digest.update("\n".join(Reach(root, backend, sources).texts).encode())
    return digest.hexdigest()[:16]
