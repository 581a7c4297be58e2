"""Books of one small chapter, for the tests of every room of the builder."""

import shutil

import pytest
from shared.tiny_book import Tiny

from d2lext.core.frameworks import IDS

SHARED = """\
# Shared

```{code-cell}
from d2lext import jax, torch
from d2lext.core.densenet import parity

def names(d2l):
    return d2l.predict

print(sorted(parity.TOLERANCES)[0])
```
"""


@pytest.fixture
def tiny(tmp_path, root):
    return Tiny(tmp_path, root)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, root):
    """A tiny book with all its notebooks recorded; copy it before you change it."""
    tiny = Tiny(tmp_path_factory.mktemp("recorded"), root)
    tiny.record(*IDS)
    return tiny


@pytest.fixture
def copy(recorded, tmp_path):
    """A copy of the recorded book, to be changed."""
    result = object.__new__(Tiny)
    result.root = tmp_path / "copy"
    shutil.copytree(recorded.root, result.root)
    return result


@pytest.fixture
def shared(tmp_path, root):
    """A book of one chapter whose code is the same for every framework."""
    tiny = Tiny(tmp_path, root)
    (tmp_path / "chapters" / "01-tiny.md").write_text(SHARED, encoding="utf-8")
    return tiny
