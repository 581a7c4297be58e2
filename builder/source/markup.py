"""What MyST's markup looks like in a chapter's prose, as regular expressions."""

import re

DIRECTIVE = re.compile(
    r"^(?P<fence>:{3,})\{(?P<name>[\w:-]+)\}[ ]*(?P<argument>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
HEADING = re.compile(
    r"^(?:\((?P<label>[\w-]+)\)=\n+)?(?P<marks>#+) (?P<text>.+)$", re.MULTILINE
)
EQUATION = re.compile(
    r"\$\$(?P<formula>.+?)\$\$[ ]*(?:\((?P<label>[\w-]+)\))?", re.DOTALL
)
ROLE = re.compile(r"\{(?P<role>[\w:]+)\}`(?P<target>[^`]+)`")
# The description may hold brackets, in pairs; a title may follow the source.
IMAGE = re.compile(
    r"!\[(?P<alt>(?:[^\[\]]|\[[^\[\]]*\])*)\]\(\s*(?P<source>[^)\s]+)[^)]*\)"
)
# Code in prose, which holds no role, formula or image; or a role, matched first because
# its backticks open no code.
LITERAL = re.compile(
    ROLE.pattern + r"|(?P<code>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`))", re.DOTALL
)

ROLES = ("ref", "numref", "eq", "cite:p", "cite:t")
ADMONITIONS = ("note", "tip", "warning", "important")
DIRECTIVES = ("figure", "table", "bibliography", *ADMONITIONS)


def directive_options(body: str) -> tuple[dict[str, str], str]:
    """The `:name: value` lines that a directive's body begins with, and the rest."""
    options, lines = {}, body.splitlines()
    while lines and (match := re.match(r":([\w-]+):\s*(.*)$", lines[0])):
        options[match[1]] = match[2].strip()
        lines.pop(0)
    return options, "\n".join(lines).strip()


def without_code(text: str) -> str:
    """`text` with inline code replaced by spaces; positions stay the same."""
    return LITERAL.sub(
        lambda match: re.sub(r"[^\n]", " ", match[0]) if match["code"] else match[0],
        text,
    )
