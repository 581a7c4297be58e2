"""The graphics cards that Linux sees, with or without a driver. Standard library only."""

from contextlib import suppress
from pathlib import Path

NVIDIA, AMD, INTEL = "0x10de", "0x1002", "0x8086"
FOLDER, _DISPLAY = Path("/sys/bus/pci/devices"), "0x03"


def makers() -> set[str]:
    """The makers of cards for display or computation; none on other systems."""
    found = set()
    for card in FOLDER.glob("*") if FOLDER.is_dir() else ():
        with suppress(OSError):
            kind, maker = ((card / name).read_text() for name in ("class", "vendor"))
            if kind.startswith(_DISPLAY):
                found.add(maker.strip())
    return found
