"""What produced a result: versions, and modes that shorten a run."""

import os
import platform
from importlib import import_module

import d2lext


def fast_mode() -> bool:
    """Whether D2LEXT_FAST asks for a few steps instead of a real training run."""
    return os.environ.get("D2LEXT_FAST", "") not in ("", "0")


def epoch_limit() -> int | None:
    """The number of epochs that D2LEXT_EPOCHS allows, or None."""
    value = os.environ.get("D2LEXT_EPOCHS", "")
    if not value:
        return None
    if not value.isdigit() or int(value) < 1:
        raise ValueError(
            f"D2LEXT_EPOCHS must be an integer >= 1, got {value!r}: unset it to train "
            "as long as the Trainer says"
        )
    return int(value)


def versions(*packages: str) -> str:
    """The versions of `packages`, NumPy, d2lext and Python, as one line."""
    # Not from metadata, because TensorFlow is also distributed as tensorflow-cpu.
    parts = [f"{p} {import_module(p).__version__}" for p in (*packages, "numpy")]
    python = f"Python {platform.python_version()}"
    return ", ".join([*parts, f"d2lext {d2lext.__version__}", python])
