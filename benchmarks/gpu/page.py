"""The facts of `run.py` as a page of Markdown, whatever is there of them."""

from statistics import median

from benchmarks.gpu.parts import EPOCHS, KILLED, TARGET
from benchmarks.page import table, wrapped
from d2lext.core.frameworks import TITLES


def markdown(result):
    """The page; a part that is missing leaves out its rows."""
    parts = ["# Training on a GPU", *_machine(result)]
    for title, text, rows in (
        ("Import, and a step of the first chapter's network", _STEP, _steps),
        ("The card beside the CPU, in fp32 from the same weights", _PARITY, _parity),
        ("Ten epochs of the first chapter", _TRAINING, _training),
        ("Memory of a training step", _MEMORY, _memory),
        ("A training that was killed and resumed", _RESUME, _resumed),
    ):
        if len(found := rows(result["frameworks"])) > 1:
            parts += [f"## {title}", wrapped(text), table(found)]
    if lines := _absent(result["frameworks"]):
        parts += ["## Not measured", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


_STEP = (
    "Seconds until the framework is imported and until the first step is over, which may "
    "compile; then milliseconds a step, in our precision and in fp32."
)
_PARITY = (
    "The largest difference, as a share of the largest number, and what "
    "`core/densenet/parity.py` allows between two frameworks."
)
_TRAINING = (
    "Training alone, without validation. A step is that of the epochs after the first. "
    f"d2l / ours compares ten epochs (the goal is {TARGET}x): where fewer have "
    "been trained, the others count as those after the first, and an unfinished one as "
    "if it went on like that. d2l computes in fp32, its convolutions as its framework has "
    "them by default."
)
_MEMORY = (
    "What the framework itself counts, beyond what it held before the first step: "
    "DenseNet-BC, growth rate 12, 3x32x32, fp32. JAX's includes what it tries out while "
    "it compiles."
)
_RESUME = (
    "`deterministic=True`: two epochs, killed after the first and resumed in another "
    "process, beside two without a break."
)


def _machine(result):
    machine = result["machine"]
    lines = [
        f"{machine['cpu']}; {machine['system']}; Python {machine['python']}",
        ", ".join(f"{k} {v}" for k, v in machine["versions"].items()),
        *(f"GPU: {gpu}" for gpu in machine["gpus"] or ["none that nvidia-smi knows"]),
        *(f"set: {k}={v}" for k, v in machine["set"].items()),
        f"{result.get('seconds', 0):.0f} s of {60 * result['minutes']:.0f}",
    ]
    frameworks = result["frameworks"]
    for backend, facts in frameworks.items():
        if number := facts.get("step", {}).get("num_gpus"):
            lines.append(f"{TITLES[backend]} sees {number} GPU{'s' * (number > 1)}")
        elif number == 0:
            why = facts["step"].get("why", "")
            lines.append(f"{TITLES[backend]} sees no GPU. {why}".strip())
    parts = ["\n".join(wrapped(line, "- ") for line in lines)]
    seen = [facts.get("step", {}).get("num_gpus") for facts in frameworks.values()]
    if seen and None not in seen and not any(seen):
        parts.append(
            "**No framework sees a GPU.** "
            + (
                "Everything is tiny and runs on the CPU: the numbers mean nothing."
                if result["quick"]
                else "`--quick` tries every part on the CPU."
            )
        )
    elif result["quick"]:
        parts.append("**Everything is tiny: the numbers mean nothing.**")
    return parts


def _steps(frameworks):
    head = ["", "device", "import, s", "precision", "first, s", "step, ms", "fp32, ms"]
    rows = [head]
    for backend, facts in frameworks.items():
        found = facts.get("step", {})
        fp32 = facts.get("step in fp32", {})
        if "import_s" in found:
            rows.append(
                [
                    TITLES[backend],
                    found.get("device", ""),
                    _number(found, "import_s", ".1f"),
                    found.get("precision", ""),
                    _number(found, "first_s", ".1f"),
                    _number(found, "step_s", ".2f", 1000),
                    _number(fp32, "step_s", ".2f", 1000),
                ]
            )
    return rows


def _parity(frameworks):
    found = {b: f["parity"] for b, f in frameworks.items() if f.get("parity")}
    found = {b: f for b, f in found.items() if "differences" in f}
    rows = [["", "allowed", *(TITLES[backend] for backend in found)]]
    tolerances = next(iter(found.values()))["tolerances"] if found else {}
    for name, tolerance in tolerances.items():
        row = [name, f"{tolerance:.0e}"]
        for facts in found.values():
            value = (facts["differences"] | facts.get("steps", {})).get(name)
            is_over = value is not None and not value <= tolerance
            text = "" if value is None else f"{value:.1e}"
            row.append(f"**{text}, too much**" if is_over else text)
        rows.append(row)
    return rows


def _training(frameworks):
    head = ["", "", "epochs", "first, s", "an epoch, s", "step, ms", "ten epochs, s"]
    rows = [[*head, "accuracy", "d2l / ours"]]
    for backend, facts in frameworks.items():
        sides = {name: _epochs(facts.get(name, {})) for name in ("ours", "stock")}
        both = all(sides.values())
        for name, side in sides.items():
            if side:
                ratio = sides["stock"]["ten_s"] / sides["ours"]["ten_s"] if both else 0
                rows.append(
                    [
                        TITLES[backend],
                        "d2l" if name == "stock" else side["precision"],
                        f"{side['epochs']:.2g}",
                        f"{side['first_s']:.2f}",
                        f"{side['epoch_s']:.2f}",
                        f"{side['step_s'] * 1000:.2f}",
                        f"{side['ten_s']:.1f}",
                        side["accuracy"],
                        f"{ratio:.1f}x" if both and name == "ours" else "",
                    ]
                )
    return rows


def _epochs(facts):
    """The times of one side, or None if it has not got far enough."""
    epochs = facts.get("epochs")
    if not epochs:
        return None
    number = facts.get("steps") or 1
    done = [entry.get("steps", number) / number for entry in epochs]
    seconds = [
        entry["train_seconds"] / share
        for entry, share in zip(epochs, done, strict=True)
    ]
    first, *others = seconds
    epoch = median(others) if others else first
    accuracy, origin = epochs[-1].get("val_acc"), facts.get("images", "real")
    of_what = "" if origin == "real" else f" ({origin})"
    return {
        "epochs": sum(done),
        "first_s": first,
        "epoch_s": epoch,
        "step_s": epoch / number if facts.get("steps") else float("nan"),
        "ten_s": sum(seconds) + (EPOCHS - len(seconds)) * epoch,
        "precision": facts.get("precision", ""),
        "accuracy": "" if accuracy is None else f"{accuracy:.3f}{of_what}",
    }


def _memory(frameworks):
    rows = [["", "depth", "batch", "plain, MiB", "efficient, MiB", "share", "time"]]
    for backend, facts in frameworks.items():
        plain, efficient = (
            facts.get(f"memory {m}", {}) for m in ("plain", "efficient")
        )
        known = plain if "memory_mib" in plain else efficient
        if "memory_mib" not in known:
            continue
        cells = [str(known["depth"]), str(known["batch"])]
        cells += [_number(side, "memory_mib", ".0f") for side in (plain, efficient)]
        for key in ("memory_mib", "step_s"):
            both = key in plain and key in efficient and plain[key]
            cells.append(f"{efficient[key] / plain[key]:.2f}" if both else "")
        rows.append([TITLES[backend], *cells])
    return rows


def _resumed(frameworks):
    rows = [["", "precision", "the same bits", "SHA-256 of the weights"]]
    for backend, facts in frameworks.items():
        found = facts.get("resume", {})
        if "uninterrupted" not in found:
            continue
        is_same = found["resumed"] == found["uninterrupted"]
        verdict = "yes" if is_same else "**no**"
        if found["began_with"] != 1:
            verdict = "nothing to resume from"
        digest = found["resumed"][:16]
        rows.append([TITLES[backend], found["precision"], verdict, digest])
    return rows


def _absent(frameworks):
    """A line for each part that is missing, ended early or failed."""
    lines = []
    for backend, facts in frameworks.items():
        for name, found in facts.items():
            why = found.get("absent") or found.get("ended")
            is_meant = name == "killed" and why == f"failed with status {KILLED}"
            if why and not is_meant:
                lines.append(wrapped(f"{TITLES[backend]}, {name}: {why}", "- "))
                lines += [f"    {line}"[:88] for line in found.get("said", [])[-8:]]
    return lines


def _number(facts, key, form, factor=1):
    return format(facts[key] * factor, form) if key in facts else ""
