"""Merges texts with git, and carries edits of rendered prose into its MyST source."""

import json
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable
from difflib import SequenceMatcher, unified_diff
from os.path import commonprefix
from pathlib import Path

from builder.errors import BookError
from builder.notebooks.markdown import as_in_chapter
from builder.notebooks.store import trimmed
from builder.source.prose import Prose

LINES = re.compile(r".*\n")
# Words, spaces, signs, and in one piece: a heading's marks with its label, the target
# of a link, a role.
WORDS = re.compile(
    r"(?:^\([\w-]+\)=\n+)?^#+ |\]\([^()\s]*\)|(?<!`)\{[\w:]+\}`[^`]+`|\w+|\s|[^\w\s]",
    re.MULTILINE,
)
PIECES = r'((?:".*\n)*)'
# Lines right after the end of a directive, which belong to it as a notebook shows it.
BEHIND = re.compile(r"^(:{3,})[ ]*\n((?:.*\S.*(?:\n|\Z))+)", re.MULTILINE)
CONFLICT = re.compile(
    rf"<{{7}}.*\n{PIECES}\|{{7}}.*\n{PIECES}={{7}}\n{PIECES}>{{7}}.*\n"
)


class Conflict(Exception):
    """Both sides changed the same piece of a text, after `line` lines of ours."""

    def __init__(self, line: int, ours: str, theirs: str) -> None:
        super().__init__(line, ours, theirs)
        self.line, self.ours, self.theirs = line, ours, theirs

    def message(self, path: Path | str, other_path: str) -> str:
        """The error for the author of the two files."""
        return (
            f"this cell was changed here and in {other_path} since it was split: make "
            f"them equal, or undo one\n{both(path, self.ours, other_path, self.theirs)}"
        )


class Generated(Exception):
    """An edit of generated text, after `line` lines of the source."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def merged(base: str, ours: str, theirs: str, pieces: re.Pattern[str] = LINES) -> str:
    """`base` with both changes; raises Conflict if they change the same piece of it."""
    if base in (ours, theirs):
        return ours if base == theirs else theirs
    result = _git(base, ours, theirs, pieces)
    if conflict := CONFLICT.search(result):
        line = _line(ours, _text(result[: conflict.start()]), pieces)
        raise Conflict(line, _text(conflict[1]), _text(conflict[3]))
    return _text(result)


def unrendered(source: str, base: str, text: str, render: Callable[[str], str]) -> str:
    """`source`, once rendered as `base`, changed so that it renders as `text`.

    Generated text, such as a figure's number, may be kept, moved or deleted whole. Raises
    Generated if it was edited, Conflict if it has changed since at the same place, and
    KeyError as `render` does.
    """
    now = trimmed(render(source))
    text = merged(base, now, text, WORDS)
    wanted = trimmed(render(text))  # the author may have typed MyST
    base, edited = map(as_in_chapter, (now, text))
    for role, pattern in _references(source, render):
        # If there are more than before, the author typed one and may mean another thing.
        if len(pattern.findall(edited)) <= len(pattern.findall(base)):
            base, edited = (role.join(pattern.split(t)) for t in (base, edited))
    merge = _git(base, source, edited, WORDS)
    for resolve in (_parts, _whole):
        result = _text(CONFLICT.sub(resolve, merge)).strip("\n")
        result = _enclosed(source, _labelled(source, result))
        if is_right := _renders(result, wanted, render):
            break
    if not is_right or _is_retyped(source, result, render):
        before = base[: len(commonprefix([base, edited]))]
        raise Generated(_line(source, before, WORDS))
    return result


def both(name: Path | str, text: str | None, other_name: str, other: str | None) -> str:
    """Two versions of a cell, for comparison."""
    one, two = ((version or "(deleted)").splitlines() for version in (text, other))
    return "\n".join(unified_diff(one, two, str(name), other_name, lineterm="", n=1))


def _git(base, ours, theirs, pieces):
    """The merged pieces, each as a line of JSON, with conflicts as git marks them."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, name) for name in ("ours", "base", "theirs")]
        for path, text in zip(paths, (ours, base, theirs), strict=True):
            lines = map(json.dumps, pieces.findall(text + "\n"))
            path.write_text("".join(f"{line}\n" for line in lines))
        command = ["git", "merge-file", "-p", "--diff3", *map(str, paths)]
        try:
            result = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError as error:
            raise BookError(
                "sync needs git to merge texts: install it, for instance with "
                "apt install git, and try again"
            ) from error
    if not 0 <= result.returncode < 128:  # the number of conflicts
        raise BookError(f"git merge-file failed: {result.stderr.strip()}")
    return result.stdout


def _text(lines):
    return "".join(map(json.loads, lines.splitlines())).removesuffix("\n")


def _renders(text, wanted, render):
    try:
        return trimmed(render(text)) == wanted
    except KeyError:  # half a directive, for instance
        return False


def _parts(conflict):
    """Both changes of a conflict, but where they overlap theirs alone."""
    own, edits, base = _sides(conflict)
    own = [change for change in own if not _overlaps(change, edits)]
    result, place = [], 0
    for start, end, new in sorted([*own, *edits], key=lambda change: change[:2]):
        result += [*base[place:start], *new]
        place = end
    return "".join(result + base[place:])


def _whole(conflict):
    """Both changes of a conflict if they only touch, otherwise theirs."""
    own, edits, _ = _sides(conflict)
    is_mixed = any(_overlaps(change, edits) for change in own)
    return conflict[3] if is_mixed else _parts(conflict)


def _sides(conflict):
    """Our changes in a conflict and theirs, and the lines that both have changed."""
    ours, base, theirs = (part.splitlines(keepends=True) for part in conflict.groups())
    return _changes(base, ours), _changes(base, theirs), base


def _overlaps(change, others):
    return any(change[0] < other[1] and other[0] < change[1] for other in others)


def _labelled(source, result):
    """`result` with each label at the heading that it has in `source`, if that is left.

    Labels are not rendered, so that an edit before a heading may part the two.
    """
    for heading in Prose(source).of("heading"):
        for label in heading.labels:
            same = [
                other
                for other in Prose(result).of("heading")
                if other.content == heading.content
            ]
            if len(same) == 1 and label not in same[0].labels:
                place = same[0].start
                pattern = rf"^\({re.escape(label)}\)=\n+"
                before, after = (
                    re.sub(pattern, "", text, flags=re.MULTILINE)
                    for text in (result[:place], result[place:])
                )
                result = f"{before}({label})=\n{after}"
    return result


def _enclosed(source, result):
    """`result` with lines that were typed right after a directive's last one in it."""
    if BEHIND.search(source):
        return result
    return BEHIND.sub(lambda m: "\n".join([m[2].rstrip("\n"), m[1], ""]), result).strip(
        "\n"
    )


def _changes(base, new):
    """The slices of `base` that `new` replaces, and with what."""
    opcodes = SequenceMatcher(None, base, new, False).get_opcodes()
    return [(i1, i2, new[j1:j2]) for kind, i1, i2, j1, j2 in opcodes if kind != "equal"]


def _references(source, render):
    """The roles in `source` and patterns that match what each alone renders as."""
    roles = {role.written for role in Prose(source).of("role")}
    shown = {role: render(role) for role in sorted(roles)}
    return [
        (role, re.compile(rf"(?<!\w){re.escape(text)}(?!\B\w)"))  # whole words
        for role, text in shown.items()
        if [*shown.values()].count(text) == 1
    ]


def _line(text, before, pieces):
    """How many lines of `text` there are up to the last of its `pieces` in `before`."""
    found = [
        [match for match in pieces.finditer(t + "\n") if re.search(r"\w", match[0])]
        for t in (text, before)
    ]
    own, known = ([match[0] for match in matches] for matches in found)
    blocks = SequenceMatcher(None, own, known, False).get_matching_blocks()
    ends = [found[0][block.a + block.size - 1].end() for block in blocks if block.size]
    return text.count("\n", 0, max(ends, default=0))


def _is_retyped(source, result, render):
    """Whether the edit typed something like the generated text that it removed."""

    def words(text):
        return Counter(re.findall(r"\w+", re.sub(r"\d", "0", text)))

    lost, kept = (words(render(text)) - words(text) for text in (source, result))
    return bool((lost - kept) & (words(result) - words(source)))
