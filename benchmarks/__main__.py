"""The command line of the measurements: python -m benchmarks step --backend torch."""

import argparse
import json
import sys
from pathlib import Path

from benchmarks import ALONE, NAMES
from d2lext.core.files import replacing
from d2lext.core.frameworks import IDS


def parser():
    """The options that `python build.py bench` passes on."""
    result = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    result.add_argument(
        "names", nargs="*", metavar="NAME", help=", ".join(NAMES + ALONE)
    )
    result.add_argument("--backend", action="append", choices=IDS)
    result.add_argument("--json", metavar="PATH")
    result.add_argument("--quick", action="store_true")
    result.add_argument("--full", action="store_true")
    result.add_argument("--precision", default="auto")
    result.add_argument("--minutes", type=float, default=10)
    result.add_argument("--out", type=Path, default=Path("_build/bench"))
    return result


def main(argv=None):
    """Measure, print and write what was requested; returns the exit status."""
    args = parser().parse_args(argv)
    known = NAMES + ALONE
    unknown = [name for name in args.names if name not in known]
    if unknown:
        print(f"unknown measurement {unknown[0]!r}: choose from {', '.join(known)}")
        return 2
    backends = args.backend or list(IDS)
    # In the order of NAMES, which ends with those that import frameworks here.
    chosen = [name for name in known if name in (args.names or NAMES)]
    results = {name: _measure(name, backends, args) for name in chosen}
    if args.json:
        content = results if len(results) > 1 else next(iter(results.values()))
        _write(Path(args.json), _json(content))
    return int(any(_failed(result) for result in results.values()))


def _measure(name, backends, args):
    """Measure, print and write the page and the numbers; returns the numbers."""
    from benchmarks import compare, memory, page, precision, summary
    from benchmarks.gpu import run as gpu

    # A run with some frameworks must not overwrite one with all of them.
    some = backends if set(backends) != set(IDS) else []
    path = args.out / "-".join([name, *some])

    def write(result, text):
        _write(path.with_suffix(".md"), text)
        _write(path.with_suffix(".json"), _json(result))

    if name == "gpu":  # it writes what it has got at any time
        machine = compare.machine()
        result = gpu.run(backends, machine, write, args.minutes, args.quick)
        text = gpu.page.markdown(result)
    elif name in ("memory", "precision"):
        module = {"memory": memory, "precision": precision}[name]
        result = module.run(backends, compare.machine(), args.quick)
        text = module.markdown(result)
    else:
        raw = compare.run(name, backends, args.precision, args.quick, args.full)
        result = summary.summarise(raw)
        text = page.markdown(result)
    write(result, text)
    print(text)
    print(f"written: {path}.md and .json", file=sys.stderr)
    return result


def _failed(result):
    """Whether nothing at all was measured."""
    frameworks = result["frameworks"].values()
    if result.get("what") == "gpu":  # without a card there are only imports
        return not any("parity" in framework for framework in frameworks)
    return all("absent" in framework for framework in frameworks)


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, "w", encoding="utf-8") as file:
        file.write(text)


def _json(content):
    return json.dumps(content, indent=2) + "\n"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)  # build.py prints the message
