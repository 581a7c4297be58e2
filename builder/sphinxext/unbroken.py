"""Sphinx extension: a formula stays on one line with the punctuation beside it.

For browsers a formula is a box, before and after which a line may end, so that even a
full stop can begin the next one. Style sheets forbid that within the class `unbroken`.
"""

import re

from docutils.nodes import Text, inline, math
from sphinx.transforms.post_transforms import SphinxPostTransform

BEFORE = re.compile(r"[(\[“‘\"']*$")
AFTER = re.compile(r"\w+|[^\w\s]*")  # a word's end, too, as in $n$th


class KeepTogether(SphinxPostTransform):
    """Put a formula and what it must not be parted from into one element."""

    default_priority = 800
    formats = ("html",)

    def run(self):
        """Wrap each formula that has such text beside it."""
        for formula in list(self.document.findall(math)):
            parent, place = formula.parent, formula.parent.index(formula)
            first = place - (place > 0 and isinstance(parent[place - 1], Text))
            last = place + 1
            last += last < len(parent) and isinstance(parent[last], Text)
            before = "".join(parent[first:place])
            after = "".join(parent[place + 1 : last])
            opening, closing = BEFORE.search(before)[0], AFTER.match(after)[0]
            if opening or closing:
                together = [Text(opening), formula, Text(closing)]
                parent[first:last] = [
                    Text(before.removesuffix(opening)),
                    inline("", "", *together, classes=["unbroken"]),
                    Text(after.removeprefix(closing)),
                ]


def setup(app):
    """Register the transform."""
    app.add_post_transform(KeepTogether)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
