"""What is asked of the machine, with tools and files that feign one."""

import pytest

from builder.setup import machine


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A folder that alone is on PATH, of a machine without a GPU."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(machine, "_DRIVER", tmp_path / "driver")
    monkeypatch.setattr(machine, "_TEGRA", tmp_path / "tegra")
    monkeypatch.setattr(machine, "_WSL", str(tmp_path / "wsl"))
    monkeypatch.setattr(machine.pci, "FOLDER", tmp_path / "devices")
    monkeypatch.setattr(machine, "kind", lambda: "linux-x86_64")
    return programs


def nvidia_smi(folder, answer, status=0, refuses="nothing"):
    program = folder / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\ncase $* in *{refuses}*) exit 2;; esac\n"
        f"echo '{answer}'\nexit {status}\n"
    )
    program.chmod(0o755)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("580.65.06, 9.0", "580.65.06, 9.0"),
        ("580.65.06, 6.1\n580.65.06, 12.0", "580.65.06, 12.0"),
        ("525.60.13, 10.0\r\n525.60.13, 9.0\r", "525.60.13, 10.0"),
        ("580.65.06, [N/A]", "580.65.06"),
        ("No devices were found", machine.NO_CARD),
    ],
)
def test_the_newest_card_counts(bare, answer, said):
    nvidia_smi(bare, answer)
    assert machine.ask_nvidia() == said


def test_an_old_driver_that_knows_no_capability(bare):
    nvidia_smi(bare, "470.256.02", refuses="compute_cap")
    assert machine.ask_nvidia() == "470.256.02"
    assert machine.nvidia("470.256.02") == machine.Nvidia("470.256.02", None)


def test_a_driver_that_does_not_answer(bare):
    nvidia_smi(bare, "NVIDIA-SMI has failed", status=9)
    assert machine.ask_nvidia() == machine.NO_CARD
    assert machine.nvidia(machine.NO_CARD) is None


def test_a_container_with_a_driver_and_without_its_tools(bare):
    driver = bare.parent / "driver"
    (driver / "gpus" / "0000:17:00.0").mkdir(parents=True)
    (driver / "version").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.144.03  Release "
        "Build  (dvs)\nGCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1)\n"
    )
    assert machine.ask_nvidia() == "550.144.03"


def test_nothing_is_run_where_there_is_no_driver(bare, monkeypatch):
    monkeypatch.setattr(machine, "_output", pytest.fail)
    assert machine.ask_nvidia() == ""
    assert machine.nvidia("") is None


def test_other_gpus_are_found_by_their_maker(bare):
    for name, kind, vendor in [
        ("0", "0x030000", "0x1002"),
        ("1", "0x038000", "0x8086"),
        ("2", "0x020000", "0x8086"),  # a network card
        ("3", "0x030200", "0x10de"),  # NVIDIA's
    ]:
        device = bare.parent / "devices" / name
        device.mkdir(parents=True)
        (device / "class").write_text(kind + "\n")
        (device / "vendor").write_text(vendor + "\n")
    assert machine.other_gpus() == ["AMD", "Intel", "NVIDIA"]


def test_apples_gpu_is_in_every_apple_processor(bare, monkeypatch):
    assert machine.other_gpus() == []
    monkeypatch.setattr(machine, "kind", lambda: "darwin-arm64")
    assert machine.other_gpus() == ["Apple"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("540.4.0, [N/A]", machine.JETSON),
        ("580.00, 8.7", "580.00, 8.7"),
        ("", machine.JETSON),
    ],
)
def test_a_jetson_has_cuda_of_its_own_until_jetpack_7(bare, answer, said):
    (bare.parent / "tegra").touch()
    if answer:  # older ones have no such tool
        nvidia_smi(bare, answer)
    assert machine.ask_nvidia() == said


def test_the_driver_of_windows_is_found_in_wsl(bare):
    (bare.parent / "wsl").mkdir()
    nvidia_smi(bare.parent / "wsl", "581.29, 8.9")
    assert machine.has_nvidia_driver()
    assert machine.ask_nvidia() == "581.29, 8.9"
