"""Which builds of the frameworks a machine gets: for its GPU, or for the CPU.

All in one environment use one major version of CUDA, because packages for two of them
overwrite each other's libraries. TensorFlow is at CUDA 12, PyTorch and JAX at CUDA 13, so
a machine with a GPU has two environments. The first has all frameworks, some of them for
the CPU. MXNet stayed at CUDA 11, and gets an environment by request. Standard library only.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from builder.setup import machine
from d2lext.core.frameworks import IDS, TITLES

VENVS = MAIN, SECOND, THIRD = ".venv", ".venv-cuda12", ".venv-cuda11"
OPTIONS = ("auto", "none", "cuda11", "cuda12", "cuda13")

_LINUX = ("linux-x86_64", "linux-aarch64")
_X86, _WINDOWS = ("linux-x86_64",), ("win32-amd64",)


@dataclass(frozen=True)
class Build:
    """A framework's build for NVIDIA's GPUs."""

    framework: str
    venv: str  # the environment that it is installed in
    package: str  # it replaces the one for the CPU, in the same versions
    platforms: tuple[str, ...]
    lowest: tuple[int, int]  # compute capabilities that it has code for
    highest: tuple[int, int] = (99, 0)
    more: tuple[str, ...] = ()  # further requirements; {pin} is the package's version
    index: str = ""  # which of PyTorch's own indexes has it, if PyPI has not

    def fits(self, capability: tuple[int, int] | None) -> bool:
        """Whether it is for this machine, and for a card of this capability, if known."""
        is_served = not capability or self.lowest <= capability <= self.highest
        return is_served and machine.kind() in self.platforms


# Without these two, the compiler of the newest CUDA would come beside 13.0's libraries.
_COMPILER = ("nvidia-cuda-nvcc", "nvidia-nvvm")
# All that MXNet's build links but for the driver, and what these libraries need.
_CUDA11 = tuple(
    f"nvidia-{name}-cu11"
    for name in (
        *("cublas", "cuda-nvrtc", "cuda-runtime", "cudnn", "cufft", "curand"),
        *("cusolver", "cusparse", "nccl", "nvtx"),
    )
)
BUILDS = {
    "cuda13": (
        Build("torch", MAIN, "torch", _LINUX, (7, 5), more=("torch!={pin}+cpu",)),
        Build("torch", MAIN, "torch", _WINDOWS, (7, 5), index="cu130"),
        Build("jax", MAIN, "jax[cuda13]", _LINUX, (7, 5), more=_COMPILER),
        Build("tensorflow", SECOND, "tensorflow[and-cuda]", _X86, (6, 0)),
    ),
    "cuda12": (
        Build("torch", MAIN, "torch", _X86 + _WINDOWS, (5, 0), (9, 0), index="cu126"),
        Build("jax", SECOND, "jax[cuda12]", _LINUX, (5, 2)),
        Build("tensorflow", SECOND, "tensorflow[and-cuda]", _X86, (6, 0)),
    ),
    # Its libraries are complete, and it trains on the CPU; nobody has tried a card.
    "cuda11": (
        Build("mxnet", THIRD, "mxnet-cu117", _X86, (5, 0), (8, 6), more=_CUDA11),
    ),
    "none": (),
}
# The first release of the driver that runs it, and the lowest compute capability.
NEEDS = {"cuda13": (580, (7, 5)), "cuda12": (525, (5, 0))}


@dataclass(frozen=True)
class Choice:
    """What is installed: the option `--gpu`, what NVIDIA's driver said, and the result."""

    option: str = "auto"
    said: str = ""
    cuda: str = "none"
    frameworks: tuple[str, ...] = ()  # those for the GPU

    def builds(self) -> dict[str, Build]:
        """The builds for the GPU, by framework."""
        return {
            build.framework: build
            for build in _offered(self.option, self.cuda)
            if build.framework in self.frameworks and machine.kind() in build.platforms
        }


def choose(option: str, said: str, has: Callable[[str, str], bool]) -> Choice:
    """The choice for a machine of this kind whose driver `said` what it is.

    `has(index, package)` asks one of PyTorch's own indexes for the pinned version.
    """
    card = machine.nvidia(said)
    cuda = _newest(card) if option in ("auto", "cuda11") else option
    capability = card.capability if card else None
    frameworks = tuple(
        build.framework
        for build in _offered(option, cuda)
        if build.fits(capability)
        and (not build.index or has(build.index, build.package))
    )
    return Choice(option, said, cuda if frameworks else "none", frameworks)


def _offered(option: str, cuda: str) -> tuple[Build, ...]:
    """The builds for a version of CUDA; by request MXNet's, beside those of the others."""
    return BUILDS.get(cuda, ()) + (BUILDS["cuda11"] if option == "cuda11" else ())


def _newest(card: machine.Nvidia | None) -> str:
    """The newest CUDA that the driver runs and the card is served by."""
    if card:
        for cuda, (driver, lowest) in NEEDS.items():
            if card.release >= driver and (card.capability or lowest) >= lowest:
                return cuda
    return "none"


def remarks(choice: Choice, installed: Collection[str] = IDS) -> list[str]:
    """What the user is told about the `choice`: what trains where, and why.

    Of the frameworks `installed`, unless nothing of the machine's GPU is used.
    """
    card, builds = machine.nvidia(choice.said), choice.builds()
    if not builds:
        if choice.said or choice.option in BUILDS:
            return [f"set up for the CPU: {_why_none(choice, card)}"]
        return [_OTHER[maker] for maker in machine.other_gpus()]
    lines = [f"NVIDIA GPU, {card or f'not asked, {choice.option} as told'}"]
    driver = NEEDS.get(choice.cuda, (0,))[0]
    if card and card.release < driver:
        lines.append(
            f"this driver is too old for {choice.cuda}: update it to {driver} or later, or "
            "take what it can use by --gpu auto"
        )
    for venv in VENVS:
        here = [name for name in builds if builds[name].venv == venv]
        if titles := [TITLES[name] for name in here if name in installed]:
            untried = " (untried)" if venv == THIRD else ""
            lines.append(f"{' and '.join(titles)}: on the GPU, from {venv}{untried}")
    return lines + [
        f"{TITLES[name]}: on the CPU; {_why(name, choice, card)}"
        for name in IDS
        if name in installed and name not in builds
    ]


def _why(name: str, choice: Choice, card: machine.Nvidia | None) -> str:
    """Why a framework stays on the CPU where others use the GPU."""
    capability = card.capability if card else None
    if name == "mxnet":
        if card and BUILDS["cuda11"][0].fits(capability):
            return "setup --gpu cuda11 also installs its build for the GPU, untried"
        return "its last release is for CUDA 11, and for no card above 8.6"
    if choice.cuda == "none":
        return "there is no card with a current driver"
    own = [build for builds in BUILDS.values() for build in builds]
    own = [b for b in own if b.framework == name and machine.kind() in b.platforms]
    if not own:
        return f"it has no build for GPUs on {machine.kind()}"
    here = [build for build in own if build in BUILDS[choice.cuda]]
    if not here or (capability and capability > here[0].highest):
        return "it needs CUDA 13 here: update the driver to 580 or later"
    if not here[0].fits(capability):
        return "its build has no code for so old a card"
    return _NOT_OFFERED


_NOT_OFFERED = "PyTorch's own index, which alone has its build, does not offer it"


def _why_none(choice: Choice, card: machine.Nvidia | None) -> str:
    """Why a machine whose GPU is known, or asked for, is set up for the CPU."""
    option = choice.option
    if option == "none":
        return "as told; --gpu auto looks for a GPU again"
    if choice.said == machine.JETSON:
        return "before JetPack 7, a Jetson needs builds of NVIDIA's own"
    if choice.said == machine.NO_CARD and option == "auto":
        return (
            "NVIDIA's driver is here, but nvidia-smi finds no card: run it to see why, "
            "and restart if the driver has been updated"
        )
    capability, newest = card.capability if card else None, _newest(card)
    cuda = newest if option == "auto" else option
    if any(build.fits(capability) for build in BUILDS[cuda]):
        return _NOT_OFFERED
    if option != "auto":
        return f"--gpu {option} has no build for this machine: --gpu auto looks for one"
    if card and card.release < NEEDS["cuda12"][0]:
        rule = " or ".join(f"{driver} ({cuda})" for cuda, (driver, _) in NEEDS.items())
        return f"{card}; a GPU needs {rule}: update the driver"
    return f"no current framework has a build for this GPU ({card})"


# Their builds take gigabytes and may not know the card, so that nobody gets one unasked.
_OTHER = {
    "Apple": "Apple GPU: PyTorch trains on it, JAX and TensorFlow on the CPU",
    "AMD": "AMD GPU: set up for the CPU; for other builds see chapters/guides/machines.md",
    "Intel": "Intel GPU: set up for the CPU; for others see chapters/guides/machines.md",
    "NVIDIA": "NVIDIA GPU without its driver: set up for the CPU; install the driver, 580 "
    "or later, then run python build.py setup",
}
