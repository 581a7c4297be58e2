"""Definitions of a chapter, written to the library."""

import pytest

from builder.errors import BookError
from builder.source import export


def test_export_writes_what_its_definitions_need(tiny):
    tiny.edit("x = 1", "import math\nimport os.path\nfrom math import pi, e as euler")
    tiny.edit("return 2 * x", "return math.pi * euler * x")
    paths = export.write(tiny.book)
    assert [path.name for path in paths] == ["tiny.py"]
    text = paths[0].read_text()
    assert "chapters/01-tiny.md" in text.splitlines()[0]
    assert "import math\nfrom math import e as euler\n" in text
    assert "os" not in text.split('"""')[2]
    assert "# Tiny" in text
    assert export.outdated(tiny.book) == []
    tiny.edit("euler * x", "x")
    assert [path.name for path in export.outdated(tiny.book)] == ["tiny.py"]


def test_only_definitions_are_exported(tiny):
    tiny.edit("    return 2 * x", "    return 2 * x\n\ny = double(1)")
    with pytest.raises(
        BookError, match=r"01-tiny.md:47: an exported cell holds only classes"
    ):
        export.write(tiny.book)
