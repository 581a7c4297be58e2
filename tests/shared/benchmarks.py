"""What the benchmarks' tests share: needed libraries, and made-up timings."""

from importlib.util import find_spec

import pytest


def needs(*modules):
    """A mark that skips a test without these modules."""
    missing = [name for name in modules if not find_spec(name)]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} missing")


def fake_process(mib_a_layer, limit_mib=None):
    """Measurements whose memory is in proportion to layers and images."""

    def measure(backend, depth, mode, batch, steps, limit_gib):
        layers = depth if mode == "plain" else depth / 4
        memory = mib_a_layer * layers * batch
        if 100 + memory > (limit_mib or limit_gib * 1024):
            return {"absent": f"over {limit_gib:g} GiB"}
        return {"memory_mib": memory, "peak_mib": 100 + memory, "step_s": 1.0}

    return measure


def side(*seconds, key="step_s", **more):
    """The timings of one side, a round for each of `seconds`."""
    rounds = [{key: s, **more} for s in seconds]
    about = {"versions": {"torch": "2"}, "precision": "fp32", "device": "CPU"}
    return {"first_s": 9.0, **about, "rounds": rounds}


def raw(what, frameworks, **settings):
    """Timings of `what` as benchmarks.compare returns them."""
    return {
        "what": what,
        "machine": {"cpu": "A CPU, 2 cores", "system": "Linux", "python": "3"}
        | {"set": {"OMP_NUM_THREADS": "2"}},
        "settings": {"rounds": 3, "turn_s": 3, "precision": "auto", "images": "real"}
        | settings,
        "rates": [
            {"matmul_fp32": 1e11, "matmul_bf16": 2e11, "copy": 1e11}
            | {"conv_fp32": rate, "conv_bf16": 2 * rate}
            for rate in (3e11, 4e11, 8e11)
        ],
        "frameworks": frameworks,
    }
