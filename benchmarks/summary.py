"""Summarises raw timings as medians, ratios and shares.

Each ratio is that of two consecutive turns; the median is over the rounds.
"""

from statistics import median

from benchmarks import arithmetic
from benchmarks.peers import BATCH, SIZE
from d2lext.core.densenet.registry import architecture

BATCHES_PER_EPOCH = 391  # 50,000 images in batches of 128


def summarise(raw):
    """The raw timings, with what follows from them."""
    result = {**raw, "rates": _rates(raw["rates"]), "rates_raw": raw["rates"]}
    result["arithmetic"] = costs(raw["what"])
    result["frameworks"] = {
        backend: _framework(timings, raw["what"])
        for backend, timings in raw["frameworks"].items()
    }
    if result["rates"] and raw["what"] != "epoch":
        flop = result["arithmetic"]["paper"]["flop"]
        for framework in result["frameworks"].values():
            for side in framework.get("sides", {}).values():
                side["flop_per_s"] = flop / side["median_s"]
                for kind in ("conv", "matmul"):
                    rate = result["rates"][f"{kind}_{side.get('precision', 'fp32')}"]
                    side[f"share_of_{kind}"] = side["flop_per_s"] / rate["max"]
    return result


def costs(what):
    """FLOP and bytes of the step, with the paper's order in transitions and with ours."""
    if what == "peers":
        network = architecture("densenet121", num_classes=10, in_channels=3)
        shape = {"batch": BATCH, "size": (SIZE, SIZE)}
    else:
        network, shape = architecture("densenet_d2l"), {"batch": 128, "size": (96, 96)}
    orders = {}
    for order, pool_first in (("paper", False), ("pool_first", True)):
        cost = arithmetic.step_cost(network, **shape, pool_first=pool_first)
        orders[order] = {
            "flop": cost.flop,
            "forward_flop": cost.forward_flop,
            "backward_flop": cost.backward_flop,
            "bytes_fp32": cost.bytes(4),
            "bytes_bf16": cost.bytes(2),
            "params": cost.params,
        }
    return orders


def _rates(measured):
    names = measured[0] if measured else ()
    return {name: _spread([m[name] for m in measured]) for name in names}


def _spread(values):
    return {"median": median(values), "min": min(values), "max": max(values)}


def _framework(timings, what):
    if "absent" in timings:
        return timings
    first, second = timings  # the other side, then ours
    times = {name: _times(side, what) for name, side in timings.items()}
    ratios = [a / b for a, b in zip(times[first], times[second], strict=True)]
    sides = {}
    for name, side in timings.items():
        spread = _spread(times[name])
        sides[name] = {f"{k}_s": v for k, v in spread.items()} | side
    return {"sides": sides, "ratios": ratios, "ratio": _spread(ratios)}


def _times(side, what):
    if what == "epoch":
        return [
            turn["start_s"] + BATCHES_PER_EPOCH * turn["batch_s"]
            for turn in side["rounds"]
        ]
    return [turn["step_s"] for turn in side["rounds"]]
