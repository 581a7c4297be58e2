"""The environments of LaTeX's formulas: those inside of one, and those in place of one.

What displays a formula by itself, such as align, has no place inside of another: print
cannot show it there, though browsers do.
"""

import re

KINDS = ("formula", "equation")  # of elements
# What displays a formula, and what does the same inside of one.
INSIDE = {
    **dict.fromkeys(("equation", "displaymath", "math"), ""),
    **dict.fromkeys(("align", "eqnarray", "flalign"), "aligned"),
    **dict.fromkeys(("gather", "multline"), "gathered"),
}
_MATRICES = [f"{kind}matrix" for kind in ("", "p", "b", "B", "v", "V", "small")]
ENVIRONMENTS = (
    *INSIDE,
    *("aligned", "gathered", "split", "cases", "array"),
    *_MATRICES,
)
OUTER = re.compile(rf"\\(begin|end)\{{({'|'.join(INSIDE)})\*?\}}")


def nested(formula: str) -> str:
    """The `formula` with environments that may be inside of one."""

    def inner(match: re.Match[str]) -> str:
        name = INSIDE[match[2]]
        return f"\\{match[1]}{{{name}}}" if name else ""

    return OUTER.sub(inner, formula)


def fault(formula: str) -> str:
    """What of the `formula` some form cannot show, whatever its symbols; or ""."""
    if not all(map(str.strip, formula.strip().split("\n"))):
        return "a formula has no empty line: remove it, or end it with $$ before that"
    if match := OUTER.search(formula):
        name = INSIDE[match[2]]
        remedy = f"write \\{match[1]}{{{name}}}" if name else "remove it"
        return f"print shows no {match[0]} inside of a formula: {remedy}"
    return ""
