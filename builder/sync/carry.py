"""An edit of a notebook's prose, carried back into the MyST that it was made from.

The rendered text is compared with the edited one, and each change goes to where its
place comes from; everything else of the source stays. What was generated, such as a
figure's number, can be kept, moved or deleted whole, but not edited.
"""

import re
from difflib import SequenceMatcher
from itertools import groupby, product

from builder.notebooks.markdown import IMAGES, LABEL
from builder.notebooks.traced import GENERATED
from builder.source.markup import ROLE

TOKEN = re.compile(r"\w+|\s|[^\w\s]")


class NotCarried(Exception):
    """An edit that has no place in the source; `offset` is where it would be."""

    def __init__(self, offset, generated):
        super().__init__(generated)
        self.offset, self.generated = offset, generated


def carried(source, text, render):
    """`source` changed so that it shows `text`; `render(source)` is a Traced."""
    shown = render(source)
    changes = _changes(shown, text)
    moved = _references(source, shown, changes)
    result = source
    for start, end, new in reversed(changes):  # from the end: earlier places stay valid
        now = render(result)
        new = new.replace(f"]({IMAGES}", "](")
        for rendered, role in moved.items():
            new = new.replace(rendered, role)
        _refuse_edited(now, result, start, end, new)
        wanted = render(now.text[:start] + new + now.text[end:]).text
        for candidate in _candidates(now, result, start, end, new):
            if render(candidate).text == wanted:
                result = candidate
                break
        else:
            raise _not_carried(now, result, start, end)
    return _without_idle_labels(source, result)


def _changes(shown, text):
    """What differs, as (start, end, new text) of the rendered text: words at least."""
    old, new = (t.splitlines(keepends=True) for t in (shown.text, text))
    found = []
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    for kind, i1, i2, j1, j2 in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind != "equal":
            found += _words(shown, starts[i1], starts[i2], "".join(new[j1:j2]))
    return found


def _words(shown, start, end, new):
    old, generated = [], []
    for is_generated, first, last in _runs(shown, start, end):
        piece = shown.text[first:last]
        old += [piece] if is_generated else TOKEN.findall(piece)
        generated += [piece] if is_generated else []
    atoms = sorted(map(re.escape, generated), key=len, reverse=True)
    words = re.findall("|".join([*atoms, TOKEN.pattern]), new)
    places = [start]
    for word in old:
        places.append(places[-1] + len(word))
    opcodes = SequenceMatcher(None, old, words, False).get_opcodes()
    return [
        (places[i1], places[i2], "".join(words[j1:j2]))
        for kind, i1, i2, j1, j2 in opcodes
        if kind != "equal"
    ]


def _references(source, shown, changes):
    """The roles that are deleted somewhere, by what they show: they may have moved."""
    found = {}
    for start, end, _ in changes:
        for first, last in _generated(shown, start, end):
            before, after = (
                _ends(shown, source, first)[0],
                _ends(shown, source, last)[1],
            )
            if before is not None and after is not None:
                role = source[before:after]
                if ROLE.fullmatch(role):
                    found[shown.text[first:last]] = role
    return found


def _generated(shown, start, end):
    """The runs of generated characters between two places."""
    for is_generated, first, last in _runs(shown, start, end):
        if is_generated:
            yield first, last


def _runs(shown, start, end):
    """(Whether generated, start, end) of runs of characters between two places."""
    for is_generated, run in groupby(
        range(start, end), lambda i: shown.origins[i] == GENERATED
    ):
        run = list(run)
        yield is_generated, run[0], run[-1] + 1


def _ends(shown, source, place):
    """Where in the source `place` is: seen from before it, and from behind it."""
    origins = shown.origins
    if place == 0:
        before = 0
    else:
        before = None if origins[place - 1] == GENERATED else origins[place - 1] + 1
    if place == len(origins):
        after = len(source)
    else:
        after = None if origins[place] == GENERATED else origins[place]
    return before, after


def _candidates(shown, source, start, end, new):
    """The sources with the change made, the most careful one first.

    Something that shows nothing, such as a label or the end of a directive, may stand at
    either end of the change, and belong to it or not.
    """
    if start == end:
        before, after = _ends(shown, source, start)
        order = (after, before) if new.startswith("\n") else (before, after)
        pairs = [(place, place) for place in order]
    else:
        firsts = _ends(shown, source, start)[::-1]
        pairs = product(firsts, _ends(shown, source, end))
    for first, last in pairs:
        if first is not None and last is not None and first <= last:
            yield source[:first] + new + source[last:]


def _refuse_edited(shown, source, start, end, new):
    """Raise if `new` looks like an edit of something generated that it replaces."""

    def looks(text):
        return set(re.findall(r"\w+", re.sub(r"\d", "0", text)))

    new = ROLE.sub("", new)
    for first, last in _generated(shown, start, end):
        if looks(shown.text[first:last]) & looks(new):
            raise _not_carried(shown, source, start, end)


def _not_carried(shown, source, start, end):
    """The error, with what was generated around the change."""
    first, last = start, end
    while first > 0 and shown.origins[first - 1] == GENERATED:
        first -= 1
    while last < len(shown.text) and shown.origins[last] == GENERATED:
        last += 1
    runs = list(_generated(shown, first, last)) or [(start, end)]
    place = runs[0][0]
    while place > 0 and shown.origins[place - 1] == GENERATED:
        place -= 1
    offset = shown.origins[place - 1] + 1 if place else 0
    return NotCarried(offset, shown.text[slice(*runs[0])].strip())


def _without_idle_labels(before, after):
    """`after` without the labels of headings that are no longer there."""

    def heads(text):
        return {
            match[0].strip()
            for match in LABEL.finditer(text)
            if text.startswith("#", match.end())
        }

    lost = heads(before) - heads(after)
    return LABEL.sub(lambda m: "" if m[0].strip() in lost else m[0], after)
