"""Sphinx extension: keeps a formula on one line with the punctuation beside it.

Browsers treat a formula as a box and may break the line on either side of it, so that
even a full stop can begin a line. Style sheets forbid that in the class `unbroken`.
"""

import re
from typing import Any

from docutils.nodes import Text, inline, math
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.typing import ExtensionMetadata

OPENING = "([“‘\"'"
CLOSING = re.compile(r"\w+|[^\w\s]*")  # also a word's end, as in $n$th


class KeepTogether(SphinxPostTransform):
    """Put each formula and the punctuation beside it into one element."""

    default_priority = 800
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Wrap each formula that has punctuation beside it."""
        for formula in list(self.document.findall(math)):
            parent, place = formula.parent, formula.parent.index(formula)
            first = place - (place > 0 and isinstance(parent[place - 1], Text))
            last = place + 1
            last += last < len(parent) and isinstance(parent[last], Text)
            before = "".join(parent[first:place])
            after = "".join(parent[place + 1 : last])
            opening = before[len(before.rstrip(OPENING)) :]
            closing = CLOSING.findall(after)[0]  # where `after` begins, or empty
            if opening or closing:
                together = [Text(opening), formula, Text(closing)]
                parent[first:last] = [
                    Text(before.removesuffix(opening)),
                    inline("", "", *together, classes=["unbroken"]),
                    Text(after.removeprefix(closing)),
                ]


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_post_transform(KeepTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
