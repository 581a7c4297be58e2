"""Whether a notebook's recording is up to date with its code.

The hash covers the notebook's cells and every library definition that they reach: what
reached code names, in any file and under any alias. A class counts as a whole, with its
bases. Importing a module counts its statements that do more than define a name. Changes
to comments, docstrings, annotations, formatting or unreached code make nothing stale.

If a name may mean several things, each of them counts. A module that is passed around
may be asked for any attribute that reached code reads. We cannot see names assembled at
run time (except those that `core.names.exports` provides), side effects of computing a
constant, classes that their base class registers, or anything that is not the library's
Python: other packages, data.
"""

import hashlib
from pathlib import Path

from builder.notebooks.reach import Reach
from builder.source.python import dump, parse


def code_hash(root: Path, backend: str | None, sources: list[str]) -> str:
    """The hash of the cells `sources` of a notebook for `backend`, and of the library.

    Without a `backend`, the cells are the same for every framework, and so is the hash.
    Raises FileNotFoundError if the cells need a module that the library lacks.
    """
    digest = hashlib.sha256()
    for source in sources:
        digest.update(dump(parse(source)).encode())
    digest.update("\n".join(Reach(root, backend, sources).texts).encode())
    return digest.hexdigest()[:16]
