"""The HTML that prose may contain, because every form of the book can show it.

A PDF shows none by itself, and an EPUB only what is well-formed XML.
"""

import re
from collections.abc import Iterable, Iterator

from markdown_it.token import Token

# Elements around text, without attributes, and what LaTeX writes before and after it.
AROUND = {
    "b": (r"\textbf{", "}"),
    "code": (r"\sphinxcode{", "}"),
    "em": (r"\emph{", "}"),
    "i": (r"\emph{", "}"),
    "kbd": (r"\sphinxkeyboard{", "}"),
    "samp": (r"\sphinxcode{", "}"),
    "small": (r"{\small ", "}"),
    "strong": (r"\textbf{", "}"),
    "sub": (r"\textsubscript{", "}"),
    "sup": (r"\textsuperscript{", "}"),
    "u": (r"\underline{", "}"),
    "var": (r"\emph{", "}"),
}
BREAK, RULE = "br", "hr"
TAG = re.compile(r"<(?P<close>/?)(?P<name>[a-z][a-z0-9-]*)\s*(?P<rest>[^>]*?)/?>", re.I)
MEDIA = (
    "audio",
    "embed",
    "figure",
    "iframe",
    "img",
    "object",
    "picture",
    "svg",
    "video",
)


def faults(tokens: Iterable[Token]) -> Iterator[tuple[Token, str]]:
    """The tokens of HTML in prose that some form of the book cannot show, and why."""
    for token in tokens:
        if token.type == "html_block" and not is_block(token.content):
            yield token, _fault(token.content)
        opened: list[tuple[str, Token]] = []
        for part in token.children or []:
            if part.type != "html_inline" or is_comment(part.content):
                continue
            match = TAG.fullmatch(part.content)
            name = match["name"].lower() if match else ""
            if not match or match["rest"] or name not in (*AROUND, BREAK):
                yield part, _fault(part.content)
            elif name == BREAK:
                continue
            elif not match["close"]:
                opened.append((name, part))
            # Of another level if it is inside of *emphasis*, for example.
            elif opened and (name, part.level) == (opened[-1][0], opened[-1][1].level):
                opened.pop()
            else:
                opened = []
                yield (
                    part,
                    f"</{name}> closes nothing here: write <{name}> before it, and end "
                    "what begins between the two",
                )
                break
        for name, part in opened:
            yield part, f"<{name}> is never closed: write </{name}> in this paragraph"


def is_comment(text: str) -> bool:
    """Whether the HTML is for authors alone."""
    return re.fullmatch(r"(\s*<!--.*?-->)+\s*", text, re.DOTALL) is not None


def is_break(token: Token) -> bool:
    """Whether the HTML within a line begins a new one."""
    match = TAG.fullmatch(token.content) if token.type == "html_inline" else None
    return match is not None and match["name"].lower() == BREAK


def is_block(text: str) -> bool:
    """Whether a block of HTML is one that every form shows: a rule, an empty line."""
    rest = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    return not re.sub(rf"<({BREAK}|{RULE})\s*/?>", "", rest, flags=re.I).strip()


def _fault(text: str) -> str:
    match = TAG.search(text)
    shown = match[0] if match else text.strip().partition("\n")[0][:40]
    name = match["name"].lower() if match else ""
    if name in MEDIA:
        return (
            f"notebooks and the PDF do not show <{name}>: write an image as "
            "![what it shows](img/file.svg)"
        )
    if match and name in (*AROUND, BREAK, RULE):
        if match["rest"]:
            return f"{shown} has attributes, which the PDF cannot show: write <{name}>"
        return (
            f"{shown} is on a line by itself: write it within a sentence, or Markdown"
        )
    elements = ", ".join(f"<{each}>" for each in (BREAK, RULE, *AROUND))
    return (
        f"not every form of the book shows {shown}: write Markdown, or `{shown}` if "
        f"readers should see it; the elements for prose are {elements}"
    )
