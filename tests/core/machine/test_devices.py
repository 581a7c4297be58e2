"""Why there is no GPU, as the machine tells it: its driver's tool, its cards."""

import subprocess

import pytest

from d2lext.core.machine import devices


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine without a card; a function that gives it `nvidia-smi` with an answer."""

    def missing(*args, **options):
        raise FileNotFoundError

    monkeypatch.setattr(devices.subprocess, "run", missing)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(devices.pci, "FOLDER", tmp_path / "pci")

    def install(answer, status=0):
        def run(command, **options):
            assert command[0] == "nvidia-smi"
            return subprocess.CompletedProcess(command, status, f"{answer}\n")

        monkeypatch.setattr(devices.subprocess, "run", run)

    return install


def plug_in(kind, vendor):
    card = devices.pci.FOLDER / "0000:01:00.0"
    card.mkdir(parents=True)
    (card / "class").write_text(f"{kind}\n")
    (card / "vendor").write_text(f"{vendor}\n")


@pytest.mark.parametrize("has_cuda", [False, True])
def test_nothing_is_seen(machine, has_cuda):
    assert devices.why_no_gpu("Abacus", has_cuda) == ""
    machine("No devices were found", status=6)  # a driver, but no card
    assert devices.why_no_gpu("Abacus", has_cuda) == ""


def test_the_framework_is_for_cpus(machine):
    machine("NVIDIA H200")
    assert devices.why_no_gpu("Abacus", False) == (
        "Abacus is installed without CUDA, which this machine's NVIDIA H200 needs: "
        "install its build for CUDA"
    )


def test_the_framework_cannot_use_it(machine):
    machine("NVIDIA H200")
    why = devices.why_no_gpu("Abacus", True)
    assert why == "Abacus cannot use the GPU NVIDIA H200: update its driver"
    assert devices.why_no_gpu("Abacus", True, "It is too old") == "It is too old"


@pytest.mark.parametrize("visible", ["", "-1"])
def test_somebody_hides_it(machine, monkeypatch, visible):
    machine("NVIDIA H200")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.why_no_gpu("Abacus", True) == (
        f"CUDA_VISIBLE_DEVICES='{visible}' hides the GPU NVIDIA H200: unset it"
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert "update its driver" in devices.why_no_gpu("Abacus", True)


@pytest.mark.parametrize(
    ("kind", "vendor", "is_seen"),
    [
        ("0x030000", "0x10de", True),  # a display
        ("0x030200", "0x10de", True),  # computing alone
        ("0x040300", "0x10de", False),  # its sound
        ("0x030000", "0x8086", False),  # a processor's own graphics
    ],
)
def test_a_card_without_a_driver(machine, kind, vendor, is_seen):
    plug_in(kind, vendor)
    why = devices.why_no_gpu("Abacus", True)
    assert bool(why) == is_seen
    assert why == "" or "install its driver, or start the container with --gpus" in why
