"""A comparison as a page of Markdown: its times, and how to read them."""

import textwrap
from statistics import median

from benchmarks.peers import BATCH, LIBRARIES, SIZE
from benchmarks.summary import BATCHES_PER_EPOCH
from d2lext.core.frameworks import TITLES

WIDTH = 88


def markdown(result):
    """The page for the result of `summary.summarise`, at most 88 columns wide."""
    what = result["what"]
    parts = [_HEADS[what], *_comparison(result)]
    if what != "epoch":
        parts += _arithmetic(result) + _shares(result)
    parts += _notes(result)
    return "\n\n".join(parts) + "\n"


_HEADS = {
    "step": "# A training step\n\nd2l's DenseNet, batch 128 of 1x96x96",
    "epoch": "# An epoch\n\nd2l's DenseNet, batches of 128 of 1x96x96, with their data",
    "peers": f"# DenseNet-121 of other libraries\n\nbatch {BATCH} of 3x{SIZE}x{SIZE}, "
    "float32, both in one process, everything else equal",
}


def _comparison(result):
    what = result["what"]
    other = _other(what)
    unit, name = (60, "min") if what == "epoch" else (1, "s")
    rows = [["", f"{other}, {name}", f"ours, {name}", f"{other} / ours", "min - max"]]
    absent = []
    for backend, framework in result["frameworks"].items():
        if "absent" in framework:
            first, *more = framework["absent"].strip().splitlines()
            text = wrapped(f"{TITLES[backend]} is absent: {first}")
            absent.append("\n".join([text, *(f"    {line}"[:WIDTH] for line in more)]))
            continue
        sides, ratio = framework["sides"], framework["ratio"]
        row = [TITLES[backend]]
        row += [f"{sides[s]['median_s'] / unit:.3f}" for s in (other, "ours")]
        row += [f"{ratio['median']:.2f}x", f"{ratio['min']:.2f} - {ratio['max']:.2f}"]
        rows.append(row)
    parts = [table(rows)] if rows[1:] else []
    return [*parts, *absent, wrapped(_rounds(result)), *_first_steps(result)]


def _other(what):
    return "peer" if what == "peers" else "stock"


def _rounds(result):
    """A paragraph on what the times are."""
    settings = result["settings"]
    rounds = _number(settings["rounds"], "round")
    if result["what"] != "epoch":
        return (
            f"Seconds per step, medians of {rounds} in which the sides took turns of "
            f"about {_number(settings['turn_s'], 'second')}, at least one step; each "
            "ratio is that of a round's two turns, and the median is over the rounds."
        )
    batches = settings["batches"]
    extrapolated = (
        ": a whole epoch."
        if batches == BATCHES_PER_EPOCH
        else f", after {settings['lead']} that do not count, extrapolated to "
        f"{BATCHES_PER_EPOCH}: the time until the first batch plus {BATCHES_PER_EPOCH} "
        "times their mean."
    )
    return (
        f"Medians of {rounds}. In each, both sides started a new epoch and trained on "
        f"{batches} batches incl. their data{extrapolated} Validation is not included."
    )


def _number(number, noun):
    return f"{number} {noun}{'s' if number != 1 else ''}"


def _first_steps(result):
    """A table of the time before the timed steps, if measured."""
    other, rows = _other(result["what"]), []
    for backend, framework in result["frameworks"].items():
        if "absent" in framework:
            continue
        sides = [framework["sides"][s] for s in (other, "ours")]
        rows.append([f"{TITLES[backend]}, first step (not in the times above)"])
        rows[-1] += [f"{side['first_s']:.1f}" for side in sides]
        if result["what"] == "epoch":
            starts = [[turn["start_s"] for turn in side["rounds"]] for side in sides]
            rows.append([f"{TITLES[backend]}, until the first batch (in them)"])
            rows[-1] += [f"{median(s):.2f}" for s in starts]
    return [table([["", f"{other}, s", "ours, s"], *rows])] if rows else []


def _shares(result):
    """A table of the rates that the sides reached, if the machine's rates are known."""
    other = _other(result["what"])
    rows = [["reached", "GFLOP/s", "of convolution", "of matrix product"]]
    for backend, framework in result["frameworks"].items():
        for name in (other, "ours"):
            side = framework.get("sides", {}).get(name, {})
            if "flop_per_s" in side:
                shares = side["share_of_conv"], side["share_of_matmul"]
                rows.append([f"{TITLES[backend]}, {name}"])
                rows[-1].append(f"{side['flop_per_s'] / 1e9:.0f}")
                rows[-1] += [f"{share:.0%}" for share in shares]
    if not rows[1:]:
        return []
    text = (
        "The FLOP of the paper's order divided by each side's seconds, and their share "
        "of this run's best rates for the 3x3 convolution and the matrix product, in the "
        "side's precision."
    )
    if result["what"] == "step":
        text += " Ours pools first, so it has less to compute."
    return [table(rows), wrapped(text)]


def _arithmetic(result):
    both = result["arithmetic"]
    rows = [["one step", "GFLOP", "forward", "backward", "GB fp32", "GB bf16"]]
    for key, name in (("paper", "paper's order"), ("pool_first", "pooling first")):
        cost = both[key]
        keys = "flop", "forward_flop", "backward_flop", "bytes_fp32", "bytes_bf16"
        rows.append([name, *(f"{cost[k] / 1e9:.2f}" for k in keys)])
    parts = ["## What there is to compute", table(rows)]
    parts.append(
        wrapped(
            f'{both["paper"]["params"]:,} parameters. "Pooling first" has the '
            "transitions pool before their 1x1 convolution: the same function. Bytes "
            "are the least that passes through memory, layer by layer."
        )
    )
    rates = result["rates"]
    if not rates:
        parts.append(wrapped(f"Rates not measured: {result.get('rates_absent')}"))
        return parts
    rows = [["this machine, in this run", "median", "min - max", "a step at the best"]]
    cost = both["paper"]
    for name, title in _RATES.items():
        rate, amount = rates[name], cost["flop"]
        if name == "copy":
            amount = cost["bytes_fp32"]
        spread = f"{rate['min'] / 1e9:.0f} - {rate['max'] / 1e9:.0f}"
        seconds = f"{amount / rate['max']:.3f} s"
        rows.append([title, f"{rate['median'] / 1e9:.0f}", spread, seconds])
    return [*parts, table(rows)]


_RATES = {
    "matmul_fp32": "matrix product fp32, GFLOP/s",
    "matmul_bf16": "matrix product bf16, GFLOP/s",
    "conv_fp32": "3x3 convolution fp32, GFLOP/s",
    "conv_bf16": "3x3 convolution bf16, GFLOP/s",
    "copy": "copy of memory, GB/s",
}


def _notes(result):
    machine = result["machine"]
    lines = [f"{machine['cpu']}; {machine['system']}; Python {machine['python']}"]
    for framework in result["frameworks"].values():
        if "absent" not in framework:
            versions = {}
            for side in framework["sides"].values():
                versions |= side["versions"]
            lines.append(", ".join(f"{k} {v}" for k, v in versions.items()))
    if machine["set"]:
        lines.append("set: " + ", ".join(f"{k}={v}" for k, v in machine["set"].items()))
    settings = result["settings"]
    if result["what"] == "peers":
        present = [b for b, f in result["frameworks"].items() if "absent" not in f]
        lines.append("peers: " + ", ".join(LIBRARIES[b] for b in present))
    else:
        used = [
            f"{TITLES[backend]} {framework['sides']['ours']['precision']}"
            + (", compiled" if framework["sides"]["ours"].get("compiled") else "")
            + f" on {framework['sides']['ours']['device']}"
            for backend, framework in result["frameworks"].items()
            if "absent" not in framework
        ]
        lines.append(f"ours, precision={settings['precision']!r}: {'; '.join(used)}")
        lines.append(f"stock: fp32; both on {settings['images']} images")
        lines.append(
            "stock: d2l 1.0.3's model, data and loop in a separate process, without "
            "drawing; repaired only where it does not run"
        )
        lines += [_STOCK[b] for b in result["frameworks"] if b in _STOCK]
    bullets = [wrapped(line, "- ") for line in lines]
    return ["## How it was measured", "\n".join(bullets)]


_STOCK = {
    "jax": "stock JAX: with the channel count repaired, 758,226 parameters, not 700,586",
    "tensorflow": "stock TensorFlow: as in d2l, with BatchNorm in inference mode, which "
    "is less work than ours and the other three do",
    "torch": "stock PyTorch: Pillow instead of torchvision, which calls it too",
}


def wrapped(text, bullet=""):
    return textwrap.fill(
        text, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet)
    )


def table(rows):
    """A Markdown table, its columns aligned for readers of the plain text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(cells):
        first, *rest = cells
        padded = [first.ljust(widths[0])]
        padded += [c.rjust(w) for c, w in zip(rest, widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * widths[0], *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])
