"""The machine that the book is set up on: its platform and its GPUs.

Standard library only.
"""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from d2lext.core.machine import pci

NO_CARD = "no card"  # where NVIDIA's driver finds none
JETSON = "Jetson"  # one whose CUDA is not that of other machines
_DRIVER = Path("/proc/driver/nvidia")
_TEGRA = Path("/etc/nv_tegra_release")
_WSL = "/usr/lib/wsl/lib"
_OTHERS = {pci.AMD: "AMD", pci.INTEL: "Intel", pci.NVIDIA: "NVIDIA"}


def kind() -> str:
    """The system and the processor: `linux-x86_64`, `darwin-arm64`, `win32-amd64`."""
    return f"{sys.platform}-{platform.machine().lower()}"


# Where the versions of constraints.txt have wheels: MXNet's last release is of 2022, and
# the others have left Macs with Intel processors.
_WHEELS = {"mxnet": ("linux-x86_64", "darwin-x86_64")}
_CURRENT = ("linux-x86_64", "linux-aarch64", "darwin-arm64", "win32-amd64")


def has_wheels(framework: str) -> bool:
    """Whether a framework can be installed on this kind of machine."""
    return kind() in _WHEELS.get(framework, _CURRENT)


@dataclass(frozen=True)
class Nvidia:
    """NVIDIA's driver, and the compute capability of the newest card if it is known."""

    driver: str
    capability: tuple[int, int] | None

    @property
    def release(self) -> int:
        """The driver's release, which decides what CUDA it runs: 580 of 580.65.06."""
        return int(self.driver.partition(".")[0])

    def __str__(self) -> str:
        if self.capability is None:
            return f"driver {self.driver}"
        return "driver {}, compute capability {}.{}".format(
            self.driver, *self.capability
        )


def nvidia(said: str) -> Nvidia | None:
    """What a line from `ask_nvidia` says; None without a card."""
    match = re.fullmatch(r"([\d.]+)(?:, (\d+)\.(\d+))?", said)
    if not match:
        return None
    return Nvidia(match[1], (int(match[2]), int(match[3])) if match[2] else None)


def ask_nvidia() -> str:
    """The driver and the newest card's compute capability, such as `580.65.06, 9.0`.

    The driver alone if it does not tell the capability, NO_CARD if it finds no card, JETSON
    on one before JetPack 7, and nothing without a driver. This may take seconds.
    """
    said = _asked()
    card = nvidia(said)
    is_old = card is None or card.release < 580
    return JETSON if is_old and _TEGRA.exists() else said


def _asked() -> str:
    smi = _nvidia_smi()
    if smi:
        # old ones do not know the capability
        for fields in ("driver_version,compute_cap", "driver_version"):
            answer = _output([smi, f"--query-gpu={fields}", "--format=csv,noheader"])
            if cards := re.findall(r"^(\d+\.[\d.]+)(, \d+\.\d+)?", answer, re.M):
                [(driver, _), *_] = cards
                return driver + max(
                    (capability for _, capability in cards), key=_numbers
                )
    if smi or not has_nvidia_driver():
        return NO_CARD if smi else ""
    try:  # a container may have the driver without its tools
        text = (_DRIVER / "version").read_text()
        has_card = any((_DRIVER / "gpus").iterdir())
    except OSError:
        return NO_CARD
    version = re.search(r" (\d+\.[\d.]+) ", text)
    return version[1] if version and has_card else NO_CARD


def _numbers(capability: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", capability)]


def has_nvidia_driver() -> bool:
    """Whether NVIDIA's driver is there, as far as a look at the files can tell."""
    return (_DRIVER / "version").exists() or bool(_nvidia_smi())


def _nvidia_smi() -> str | None:
    return shutil.which("nvidia-smi") or shutil.which("nvidia-smi", path=_WSL)


def other_gpus() -> list[str]:
    """The makers of GPUs, if NVIDIA's driver says nothing: Apple, AMD, Intel or NVIDIA."""
    if kind() == "darwin-arm64":
        return ["Apple"]
    return sorted(_OTHERS[maker] for maker in pci.makers() & {*_OTHERS})


def _output(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
