"""Which builds a machine gets, for machines of every kind; what its user is told."""

import re

import pytest
from shared import ROOT

from builder.setup import builds
from builder.setup import machine as facts
from builder.setup.builds import MAIN, SECOND, THIRD, Choice
from d2lext.core.frameworks import IDS

ALL = {"torch": MAIN, "jax": MAIN, "tensorflow": SECOND}
OLD = {"torch": MAIN, "jax": SECOND, "tensorflow": SECOND}  # CUDA 12
H200, OLD_DRIVER = "580.65.06, 9.0", "550.144.03, 9.0"
# kind, what nvidia-smi says, --gpu, where each framework that gets a GPU trains
MACHINES = [
    ("linux-x86_64", "", "auto", {}),
    ("linux-x86_64", facts.NO_CARD, "auto", {}),
    ("linux-x86_64", H200, "auto", ALL),
    ("linux-x86_64", "580.95.05, 7.5", "auto", ALL),  # Turing
    ("linux-x86_64", "595.10, 12.0", "auto", ALL),  # Blackwell
    ("linux-x86_64", "580.65.06", "auto", ALL),  # a container without nvidia-smi
    ("linux-x86_64", H200, "none", {}),
    ("linux-x86_64", H200, "cuda12", OLD),
    ("linux-x86_64", "", "cuda13", ALL),  # as for an image that is built without a card
    ("linux-x86_64", OLD_DRIVER, "auto", OLD),
    ("linux-x86_64", "580.65.06, 7.0", "auto", OLD),  # Volta
    (
        "linux-x86_64",
        "580.65.06, 5.2",
        "auto",
        {"torch": MAIN, "jax": SECOND},
    ),  # Maxwell
    ("linux-x86_64", "580.65.06, 5.0", "auto", {"torch": MAIN}),
    ("linux-x86_64", "580.65.06, 3.7", "auto", {}),  # Kepler
    ("linux-x86_64", "470.256.02, 8.6", "auto", {}),
    ("linux-x86_64", "550.144.03, 12.0", "auto", {"jax": SECOND, "tensorflow": SECOND}),
    # by request, MXNet on what its build has code for, beside what auto finds
    ("linux-x86_64", "580.65.06, 8.6", "auto", ALL),
    ("linux-x86_64", "580.65.06, 8.6", "cuda11", ALL | {"mxnet": THIRD}),
    ("linux-x86_64", "580.65.06, 7.0", "cuda11", OLD | {"mxnet": THIRD}),
    ("linux-x86_64", "470.256.02, 8.6", "cuda11", {"mxnet": THIRD}),
    ("linux-x86_64", "580.65.06, 3.7", "cuda11", {}),
    ("linux-x86_64", H200, "cuda11", ALL),
    ("linux-x86_64", "", "cuda11", {"mxnet": THIRD}),
    ("linux-aarch64", H200, "cuda11", {"torch": MAIN, "jax": MAIN}),
    ("linux-aarch64", H200, "auto", {"torch": MAIN, "jax": MAIN}),
    ("linux-aarch64", OLD_DRIVER, "auto", {"jax": SECOND}),
    ("win32-amd64", H200, "auto", {"torch": MAIN}),
    ("win32-amd64", OLD_DRIVER, "auto", {"torch": MAIN}),
    ("darwin-arm64", "", "auto", {}),
]


@pytest.mark.parametrize(("kind", "said", "option", "places"), MACHINES)
def test_every_machine_gets_what_it_can_use(monkeypatch, kind, said, option, places):
    monkeypatch.setattr(facts, "kind", lambda: kind)
    choice = builds.choose(option, said, lambda index, package: True)
    assert {name: build.venv for name, build in choice.builds().items()} == places
    majors = {
        (build.venv, *re.findall(r"cu[a-z]*(\d\d)", build.package + build.index))
        for build in choice.builds().values()
        if re.search(r"\d", build.package + build.index)  # the others say no version
    }
    assert len(majors) == len({venv for venv, _ in majors}), "one CUDA per environment"


def test_pytorch_stays_on_the_cpu_where_no_index_has_its_build():
    asked = []

    def has(*question):
        asked.append(question)
        return False

    choice = builds.choose("auto", OLD_DRIVER, has)
    assert "torch" not in choice.builds()
    assert asked == [("cu126", "torch")]
    told = "\n".join(builds.remarks(choice))
    assert "PyTorch: on the CPU; PyTorch's own index" in told


def told(monkeypatch, said="", option="auto", kind="linux-x86_64", others=()):
    monkeypatch.setattr(facts, "kind", lambda: kind)
    monkeypatch.setattr(facts, "other_gpus", lambda: list(others))
    choice = builds.choose(option, said, lambda *_: True)
    return "\n".join(builds.remarks(choice))


def test_what_trains_where_is_told(monkeypatch):
    lines = told(monkeypatch, H200).splitlines()
    assert lines[:3] == [
        "NVIDIA GPU, driver 580.65.06, compute capability 9.0",
        "PyTorch and JAX: on the GPU, from .venv",
        "TensorFlow: on the GPU, from .venv-cuda12",
    ]
    assert lines[3].startswith("MXNet: on the CPU; its last release is for CUDA 11")
    assert len(lines) == 4


@pytest.mark.parametrize(
    ("said", "kind", "line"),
    [
        ("470.256.02, 8.6", "linux-x86_64", "a GPU needs 580 (cuda13) or 525 (cuda12)"),
        ("580.65.06, 3.7", "linux-x86_64", "no current framework has a build"),
        (facts.NO_CARD, "linux-x86_64", "nvidia-smi finds no card"),
        (
            H200,
            "win32-amd64",
            "JAX: on the CPU; it has no build for GPUs on win32-amd64",
        ),
        (
            "550.1, 12.0",
            "linux-x86_64",
            "PyTorch: on the CPU; it needs CUDA 13 here: up",
        ),
        (
            "550.1, 8.6",
            "linux-aarch64",
            "PyTorch: on the CPU; it needs CUDA 13 here: up",
        ),
        (
            facts.JETSON,
            "linux-aarch64",
            "before JetPack 7, a Jetson needs builds of NV",
        ),
        ("580.1, 5.2", "linux-x86_64", "TensorFlow: on the CPU; its build has no code"),
        ("580.1, 8.6", "linux-x86_64", "setup --gpu cuda11 also installs its build"),
        ("580.1, 8.6", "win32-amd64", "MXNet: on the CPU; its last release is for"),
    ],
)
def test_why_something_stays_on_the_cpu_is_told(monkeypatch, said, kind, line):
    assert line in told(monkeypatch, said, kind=kind)


def test_what_is_untried_is_told(monkeypatch):
    lines = told(monkeypatch, "470.256.02, 8.6", "cuda11").splitlines()
    assert "MXNet: on the GPU, from .venv-cuda11 (untried)" in lines
    assert "JAX: on the CPU; there is no card with a current driver" in lines
    assert "not asked, cuda11 as told" in told(monkeypatch, "", "cuda11")


def test_a_machine_without_a_gpu_is_told_nothing(monkeypatch):
    assert told(monkeypatch) == ""


@pytest.mark.parametrize(
    ("said", "option", "kind", "line"),
    [
        (
            "550.1, 8.6",
            "cuda13",
            "linux-x86_64",
            "too old for cuda13: update it to 580",
        ),
        (
            "470.1, 8.6",
            "cuda12",
            "linux-x86_64",
            "too old for cuda12: update it to 525",
        ),
        ("550.1, 5.2", "cuda13", "linux-x86_64", "--gpu cuda13 has no build for this"),
        ("", "cuda13", "darwin-arm64", "--gpu cuda13 has no build for this machine"),
        ("580.1, 9.0", "none", "linux-x86_64", "as told; --gpu auto looks"),
    ],
)
def test_an_option_that_does_not_fit(monkeypatch, said, option, kind, line):
    assert line in told(monkeypatch, said, option, kind)


def test_one_is_told_of_what_is_installed(monkeypatch):
    choice = builds.choose("auto", H200, lambda *_: True)
    assert builds.remarks(choice, {"torch", "numpy"})[1:] == [
        "PyTorch: on the GPU, from .venv"
    ]
    assert builds.remarks(choice, {"mxnet"})[1:] == [
        "MXNet: on the CPU; its last release is for CUDA 11, and for no card above 8.6"
    ]


def test_an_index_that_does_not_answer_is_no_fault_of_the_card(monkeypatch):
    monkeypatch.setattr(facts, "kind", lambda: "win32-amd64")
    [line] = builds.remarks(builds.choose("auto", "581.29, 8.9", lambda *_: False))
    assert "PyTorch's own index, which alone has its build, does not" in line


@pytest.mark.parametrize("maker", ["Apple", "AMD", "Intel", "NVIDIA"])
def test_other_gpus_are_named(monkeypatch, maker):
    assert told(monkeypatch, others=[maker]).startswith(f"{maker} GPU")


def test_a_choice_of_another_version_is_no_error():
    choice = Choice("cuda14", "", "cuda14", IDS)
    assert choice.builds() == {}


def test_mxnet_loads_what_is_installed_for_it():
    text = (ROOT / "d2lext" / "mxnet" / "loading.py").read_text("utf-8")
    [build] = builds.BUILDS["cuda11"]
    assert set(build.more) == {
        f"nvidia-{folder.replace('_', '-')}-cu11"
        for folder in re.findall(r'"(\w+)/lib/lib', text)
    }
