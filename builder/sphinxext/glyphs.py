"""Sphinx extension: LaTeX chooses a font for each character that its main fonts may lack.

styles/paper.sty defines the command.
"""

import re

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

INVISIBLE = re.compile("[\ufe00-\ufe0f\u200d]")  # choose between pictures of one emoji
# TeX's fonts have Latin and punctuation; combining marks stay with their letters.
BEYOND_LATIN = re.compile("[^\\0-\u02ff\u0300-\u036f\u2000-\u206f]")


def _mark(app: Sphinx, exception: Exception | None) -> None:
    for path in [] if exception else app.outdir.glob("*.tex"):
        text = INVISIBLE.sub("", path.read_text(encoding="utf-8"))
        text = BEYOND_LATIN.sub(r"\\bookchar{\g<0>}", text)
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Mark characters in what Sphinx has written."""
    app.connect("build-finished", _mark)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
