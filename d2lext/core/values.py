"""Compares what code has shown with what was expected: by value, not as text.

Numbers, True and False count, in order, in the last lines; where none are expected, words
do. How a value is written, labels, and what a tensor or a table shows beside its values
do not count.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation

DIGITS = 3  # to which numbers agree, unless they are whole or have a tolerance

# Not in ResNet-18, float32 or 3x3; a unit may follow, as in 25% or 436MiB.
VALUE = re.compile(
    r"""(?<!\w)(?:True|False)(?![^\W_])  # np.True_ ends with an underscore
    | (?<![\w.])[-+]?(?:nan|inf)(?!\w)
    | (?<![\w.])(?<!\w[-+])[-+]?
      (?:(?:\d{1,3}(?:[,_'\u00a0\u2009\u202f]\d{3})+|\d+)(?:\.\d*)?|\.\d+)
      (?:[eE][-+]?\d+)?(?![\w.]*\d)""",
    re.VERBOSE,
)
_SEPARATOR = re.compile(r"[,_'\u00a0\u2009\u202f]")  # of thousands
_NOISE = (
    r"\x1b\[[0-9;]*m",  # colours
    r"^.*\r(?!\n)",  # a progress bar, which writes over itself
    r"^(?:CPU times|Wall time): .*$",  # %%time
    r"^(?:Name|Length|Freq): .*\bdtype: \S+$|\[\d+ rows x \d+ columns\]",  # pandas
    r"<tf\.\w+:? (?:'[^']*' )?shape=\([^)]*\),? dtype=\w+, numpy=",
    r"(?:,\s*(?:dtype|shape|device|ctx|size|grad_fn|requires_grad|weak_type)="
    r"(?:\([^()]*\)|'[^']*'|<[^<>]*>|[\w.]+(?:\(\d+\))?))+(?=\))",  # in tensor(…)
    r"<[A-Za-z][^<>]*>",  # an object
)

Read = Callable[[str], list[str]]


def agree(shown: str, expected: str, tolerance: str = "") -> bool:
    """Whether the last lines of `shown` hold the values of `expected`, and no others.

    `tolerance` is how far numbers may be apart: "0.5", or "1%" of the expected one. By
    default whole numbers must be equal, and others agree to three digits.
    """
    wanted_lines = plain(expected)
    is_text = not any(values(rest) for _, rest in labelled(wanted_lines))
    read = _words if is_text else values
    wanted = [reading for reading in _readings(wanted_lines, read) if reading]
    longest = max(map(len, wanted), default=0)
    # 64,128 may be two numbers: students are read both ways, authors as one number.
    for text in (shown, shown.replace(",", ", ")):
        lines = [line for line in plain(text) if read(line)]
        for count in range(1, min(len(lines), longest) + 1):
            for found in _readings(lines[-count:], read):
                if any(_are_close(found, reading, tolerance) for reading in wanted):
                    return True
    return False


def values(text: str) -> list[str]:
    """The numbers and truth values in `text`, without separators of thousands."""
    return [_SEPARATOR.sub("", value) for value in VALUE.findall(text)]


def labelled(lines: Sequence[str]) -> list[tuple[str, str]]:
    """The label of each line, up to a colon, and the rest.

    Where several lines all begin with a whole number and no colon, it is their label.
    """
    numbers = [re.match(r"[\s|]*\d+[\s|]+(?=\S)", line) for line in lines]
    is_table = len(lines) > 1 and all(numbers)
    result = []
    for line, number in zip(lines, numbers, strict=True):
        label, colon, rest = line.partition(":")
        if not colon:
            end = number.end() if number and is_table else 0
            label, rest = line[:end], line[end:]
        result.append((label + colon, rest))
    return result


def plain(text: str) -> list[str]:
    """The lines of `text` without noise, each array and other bracket on one line."""
    for noise in _NOISE:
        text = re.sub(noise, "", text, flags=re.MULTILINE)
    lines: list[str] = []
    depth = 0
    for line in text.splitlines():
        if depth:
            lines[-1] += " " + line
        elif line.strip():
            lines.append(line)
        for bracket in re.findall(r"[([{)\]}]", line):
            depth = max(0, depth + (1 if bracket in "([{" else -1))
    return lines


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _readings(lines: Sequence[str], read: Read) -> Iterator[list[str]]:
    """What `lines` may hold: everything that can be read, or that without labels."""
    yield [value for line in lines for value in read(line)]
    yield [value for _, rest in labelled(lines) for value in read(rest)]


def _are_close(found: Sequence[str], wanted: Sequence[str], tolerance: str) -> bool:
    return len(found) == len(wanted) and all(
        _is_close(x, y, tolerance) for x, y in zip(found, wanted, strict=True)
    )


def _is_close(found: str, wanted: str, tolerance: str) -> bool:
    try:
        x, y = Decimal(found), Decimal(wanted)
    except InvalidOperation:  # True, False, or a word
        return found == wanted
    if not (x.is_finite() and y.is_finite()):
        return str(x) == str(y)
    if tolerance.endswith("%"):
        allowed = abs(y) * Decimal(tolerance[:-1]) / 100
    elif tolerance:
        allowed = Decimal(tolerance)
    elif re.fullmatch(r"[-+]?\d+", wanted):
        allowed = Decimal(0)
    else:  # half a unit of the last digit
        allowed = Decimal(5).scaleb(y.adjusted() - DIGITS)
    return abs(x - y) <= allowed
