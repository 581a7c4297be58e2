"""What authors write instead of MyST's other directives and roles.

An ellipsis stands for what is inside: between two fences, on lines of its own.
"""

from pygments.lexers import find_lexer_class_by_name
from pygments.util import ClassNotFound

from builder.source.prose import DIRECTIVES

ROLES = ("ref", "numref", "eq", "cite:p", "cite:t")
_CODE, _QUOTE, _REMARK = "```python … ```", "> …", ":::{note} … :::"
_IMAGE, _FORMULA = "![what it shows](img/file.svg)", "$$ … $$"
_TABLE, _BIBLIOGRAPHY = ":::{table} The caption … :::", ":::{bibliography} … :::"
_OF_DIRECTIVES = {
    **dict.fromkeys(("code", "code-block", "literalinclude", "sourcecode"), _CODE),
    **dict.fromkeys(("list-table", "csv-table"), _TABLE),
    **dict.fromkeys(("epigraph", "highlights", "pull-quote"), _QUOTE),
    **dict.fromkeys(("attention", "caution", "danger", "error"), ":::{warning} … :::"),
    **dict.fromkeys(("hint", "seealso", "topic", "sidebar", "todo"), _REMARK),
    "admonition": ":::{note} The title … :::",
    "footbibliography": _BIBLIOGRAPHY,
    "image": f"{_IMAGE}, or :::{{figure}} for one with a number",
    "math": f"{_FORMULA}, or {_FORMULA} (label) for one with a number",
    "rubric": "**…**",
}
_OF_ROLES = {
    "math": "$…$",
    **dict.fromkeys(("code", "file", "literal", "samp"), "`…`"),
    **dict.fromkeys(("emphasis", "dfn", "term"), "*…*"),
    "strong": "**…**",
    **dict.fromkeys(("sub", "subscript"), "<sub>…</sub>"),
    **dict.fromkeys(("sup", "superscript"), "<sup>…</sup>"),
    "kbd": "<kbd>…</kbd>",
    **dict.fromkeys(("any", "doc", "secref"), "{ref}`label`"),
    **dict.fromkeys(("eqref", "math:numref"), "{eq}`label`"),
    **dict.fromkeys(("cite", "citep", "footcite"), "{cite:p}`key`"),
    **dict.fromkeys(("citet", "footcite:t"), "{cite:t}`key`"),
}


def of_directive(name: str) -> str:
    """What is wrong with a directive of this unknown `name`, and what to write."""
    if name in _OF_DIRECTIVES:
        return (
            f"not every form of the book shows {{{name}}}: write {_OF_DIRECTIVES[name]}"
        )
    try:
        find_lexer_class_by_name(name)
    except ClassNotFound:
        return f"unknown directive {name!r}: choose from {', '.join(DIRECTIVES)}"
    return (
        f"{name!r} is a language, not a directive: write ```{name} … ``` for code to "
        "read, or ```{code-cell} … ``` for code that runs"
    )


def of_backticks(name: str, argument: str) -> str:
    """The same of a directive between backticks, which are for code."""
    if name not in DIRECTIVES:
        return of_directive(name)
    first = f":::{{{name}}} {argument}".rstrip()
    return f"in prose, a directive goes between colons: write {first} … :::"


def of_role(name: str) -> str:
    """What is wrong with a role of this unknown `name`, and what to write."""
    if name in _OF_ROLES:
        return f"not every form of the book shows {{{name}}}: write {_OF_ROLES[name]}"
    return f"unknown role {name!r}: choose from {', '.join(ROLES)}"
