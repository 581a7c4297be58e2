"""What MXNet's backend decides on GPUs, for which its library on this machine is not."""

import ctypes
import importlib
import os
import sys

import pytest

pytest.importorskip("d2lext.mxnet", exc_type=ImportError)

from mxnet import MXNetError, npx, runtime
from shared.processes import python

from d2lext import mxnet as d2l
from d2lext.core.machine import devices
from d2lext.mxnet import device, loading


@pytest.fixture
def machine(monkeypatch):
    """A function that makes a machine of GPUs, and a build of MXNet for them or not."""

    def make(*capabilities, is_for_gpus=True, number=None):
        number = len(capabilities) if number is None else number
        monkeypatch.setattr(npx, "num_gpus", lambda: number if is_for_gpus else 0)
        monkeypatch.setattr(device, "_capabilities", lambda: list(capabilities))
        monkeypatch.setattr(devices, "_nvidia_gpu", lambda: "A100")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        features = runtime.Features()
        is_enabled = features.is_enabled
        monkeypatch.setattr(
            features,
            "is_enabled",
            lambda name: is_for_gpus if name == "CUDA" else is_enabled(name),
            raising=False,
        )

    return make


@pytest.mark.parametrize(
    ("capabilities", "number"),
    [
        ([(8, 6), (5, 0)], 2),
        ([(8, 0), (9, 0)], 1),
        ([(9, 0), (8, 0)], 0),  # the first is not there to be skipped by its number
        ([(8, 9)], 0),
        ([(3, 5)], 0),
        ([], 0),
    ],
)
def test_gpus_that_its_builds_can_use(machine, capabilities, number):
    machine(*capabilities)
    assert d2l.num_gpus() == number
    assert (d2l.try_gpu() == d2l.gpu()) == bool(number)


def test_a_driver_that_is_too_old(machine, monkeypatch):
    machine()

    def fail():
        raise MXNetError("CUDA: CUDA driver version is insufficient for CUDA runtime")

    monkeypatch.setattr(npx, "num_gpus", fail)
    assert d2l.num_gpus() == 0
    assert device.why_no_gpu() == "MXNet cannot use the GPU A100: update its driver"


@pytest.mark.parametrize("is_for_gpus", [True, False])
def test_a_newer_gpu_is_left_to_other_frameworks(machine, is_for_gpus):
    machine((9, 0), is_for_gpus=is_for_gpus)
    assert device.why_no_gpu() == (
        "MXNet's builds are for GPUs of compute capability 5.0 to 8.6, and this one has "
        "9.0: train on it in PyTorch, JAX or TensorFlow"
    )


def test_a_build_for_cpus(machine):
    machine((8, 0), is_for_gpus=False)
    assert device.why_no_gpu().startswith(
        "MXNet is installed without CUDA, which this machine's A100 needs"
    )


class Driver:
    """NVIDIA's, with a GPU for each capability; the failing call returns an error."""

    def __init__(self, *capabilities, failing=""):
        self.capabilities, self.failing = capabilities, failing

    def cuInit(self, flags):
        return self.failing == "cuInit"

    def cuDeviceGetCount(self, number):
        number._obj.value = len(self.capabilities)
        return self.failing == "cuDeviceGetCount"

    def cuDeviceGetAttribute(self, value, attribute, i):
        value._obj.value = self.capabilities[i][attribute - 75]  # CUDA's numbers
        return 0


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, [(8, 6), (9, 0)]),
        ({"failing": "cuInit"}, []),
        ({"failing": "cuDeviceGetCount"}, []),
    ],
)
def test_the_driver_knows_capabilities(monkeypatch, options, found):
    driver = Driver((8, 6), (9, 0), **options)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)
    assert device._capabilities() == found


def test_without_a_driver_there_are_no_gpus(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert device._capabilities() == []


CHOSEN = {"MXNET_ENFORCE_DETERMINISM": "1", "MXNET_CUDNN_AUTOTUNE_DEFAULT": "0"}


def test_deterministic_algorithms_are_asked_for_while_it_trains(monkeypatch):
    monkeypatch.setenv("MXNET_CUDNN_AUTOTUNE_DEFAULT", "2")
    monkeypatch.delenv("MXNET_ENFORCE_DETERMINISM", raising=False)
    before = {name: os.environ.get(name) for name in CHOSEN}
    with d2l.Trainer(max_epochs=1).only_deterministic():
        assert {name: os.environ[name] for name in CHOSEN} == CHOSEN
    assert {name: os.environ.get(name) for name in CHOSEN} == before


@pytest.mark.parametrize(
    ("given", "is_for_gpus", "expected"),
    [(None, True, "0"), (None, False, None), ("1", True, "1"), ("1", False, "1")],
)
def test_float32_is_not_rounded(machine, monkeypatch, given, is_for_gpus, expected):
    """Other frameworks do as they like beside a build for CPUs."""
    name = "NVIDIA_TF32_OVERRIDE"
    machine(is_for_gpus=is_for_gpus)
    monkeypatch.setenv(name, given or "")
    if given is None:
        monkeypatch.delenv(name)
    importlib.reload(sys.modules["d2lext.mxnet.loading"])
    assert os.environ.get(name) == expected


@pytest.mark.parametrize(
    ("library", "remedy"),
    [
        ("libcuda.so.1", "pip install --force-reinstall --no-deps mxnet==1.9.1"),
        ("libquadmath.so.0", "sudo apt-get install libgomp1 libquadmath0"),
    ],
)
def test_libraries_that_are_missing(library, remedy):
    result = python(f"""
import builtins
real = builtins.__import__
def fail(name, *args, **kwargs):
    if name.split(".")[0] == "mxnet":
        raise OSError("{library}: cannot open shared object file")
    return real(name, *args, **kwargs)
builtins.__import__ = fail
import d2lext.mxnet
""")
    assert result.returncode == 1
    assert result.stderr.strip().endswith(remedy)


@pytest.mark.parametrize(
    ("libraries", "number"),
    [(loading._CUDA, 10), (loading._CUDA[:3], 3), (loading._CUDA[1:], 0), ((), 0)],
)
def test_cuda_11_is_loaded_from_its_packages(monkeypatch, tmp_path, libraries, number):
    """Of other versions of CUDA, some have the same names."""
    for name in libraries:
        library = tmp_path / "nvidia" / name
        library.parent.mkdir(parents=True)
        library.touch()
    loaded = []
    monkeypatch.setattr(ctypes, "CDLL", loaded.append)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    importlib.invalidate_caches()
    loading._load_cuda()
    assert loaded == [str(tmp_path / "nvidia" / name) for name in libraries[:number]]
