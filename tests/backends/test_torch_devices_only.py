"""Kinds of GPUs in PyTorch, feigned: what is asked of each, and what is not."""

import contextlib
from types import SimpleNamespace

import numpy as np
import pytest
from shared.frameworks import small
from shared.random_images import Data, images

pytest.importorskip("d2lext.torch", exc_type=ImportError)

import torch

from d2lext import torch as d2l
from d2lext.core.machine import devices
from d2lext.torch import accelerators, models, trainer

CUDA, MPS, XPU = (torch.device(kind, 0) for kind in ("cuda", "mps", "xpu"))


@pytest.fixture
def feign(monkeypatch):
    """A function that feigns GPUs of a kind, with functions of PyTorch's module for it."""

    def feign(kind, number=1, **functions):
        gpu = torch.device(kind)
        if hasattr(torch, "accelerator"):
            monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: gpu)
        module = getattr(torch, kind)
        functions = {"is_available": lambda: number > 0, **functions}
        for name, function in {"device_count": lambda: number, **functions}.items():
            monkeypatch.setattr(module, name, function, raising=False)

    return feign


@pytest.fixture
def nvidia(feign, monkeypatch):
    """A function that feigns NVIDIA's GPUs of some compute capabilities."""
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    codes = ["sm_75", "sm_80", "sm_90", "sm_120", "compute_120"]

    def feign_nvidia(*capabilities):
        feign(
            "cuda",
            len(capabilities),
            get_arch_list=lambda: codes,
            get_device_capability=lambda i: capabilities[i],
            get_device_name=lambda i: f"card {i}",
            get_device_properties=lambda gpu: SimpleNamespace(
                major=capabilities[gpu.index][0]
            ),
        )

    return feign_nvidia


@pytest.fixture
def amd(monkeypatch):
    """A build of which no compute capability is asked."""
    monkeypatch.setattr(torch.version, "cuda", None)


@pytest.fixture(params=["present", "before 2.6"])
def accelerator(request, monkeypatch):
    """Every PyTorch, and one that cannot be asked for its kind of GPU."""
    if request.param != "present":
        monkeypatch.delattr(torch, "accelerator", raising=False)


@pytest.mark.usefixtures("amd", "accelerator")
@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_each_kind_is_found(feign, kind):
    feign(kind)
    gpu = torch.device(kind, 0)
    assert (d2l.num_gpus(), d2l.gpu(), d2l.try_gpu()) == (1, gpu, gpu)
    assert (d2l.try_gpu(1), d2l.try_all_gpus()) == (d2l.cpu(), [gpu])


def test_a_driver_that_is_too_old(feign):
    """It counts its cards, which cannot be used."""
    feign("cuda", 1, is_available=lambda: False)
    assert d2l.num_gpus() == 0


@pytest.mark.parametrize(
    ("capabilities", "number"),
    [
        ([(9, 0)], 1),
        ([(8, 6), (7, 5)], 2),
        ([(12, 1)], 1),  # code for 12.0 runs on it
        ([(13, 0)], 1),  # PTX is translated
        ([(6, 1)], 0),
        ([(7, 0)], 0),  # older than 7.5
        ([(9, 0), (6, 1)], 1),
    ],
)
def test_cards_that_the_build_has_code_for(nvidia, capabilities, number):
    nvidia(*capabilities)
    assert d2l.num_gpus() == number
    assert bool(accelerators.problem()) == (number == 0)


def test_it_says_why_there_is_no_gpu(nvidia, monkeypatch):
    nvidia((6, 1))
    why = d2l.device.why_no_gpu()
    assert "has code for the architectures sm_75, sm_80, sm_90, sm_120, compute" in why
    assert "not for the card 0, which is sm_61: install" in why
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(devices, "_nvidia_gpu", lambda: "NVIDIA H200")
    assert d2l.device.why_no_gpu().startswith("PyTorch cannot use the GPU NVIDIA H200")
    monkeypatch.setattr(torch.version, "cuda", None)
    assert "PyTorch is installed without CUDA" in d2l.device.why_no_gpu()


@pytest.mark.parametrize(
    ("capability", "precision"), [((9, 0), "bf16"), ((8, 0), "bf16"), ((7, 5), "fp32")]
)
def test_bfloat16_on_cards_that_multiply_it(nvidia, capability, precision):
    """Not where PyTorch emulates it."""
    nvidia(capability)
    assert d2l.Trainer(1, num_gpus=1).used_precision == precision


@pytest.mark.parametrize(
    ("gpu", "features", "expected"),
    [
        (CUDA, {"gcnArchName": "gfx942:sramecc+:xnack-"}, True),  # MI300
        (CUDA, {"gcnArchName": "gfx1030"}, False),  # RX 6800
        (XPU, {"has_subgroup_matrix_multiply_accumulate": True}, True),
        (XPU, {}, False),
        (MPS, {}, False),
    ],
)
def test_bfloat16_on_others(monkeypatch, gpu, features, expected):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    for module in (torch.cuda, torch.xpu):
        monkeypatch.setattr(
            module, "get_device_properties", lambda gpu: SimpleNamespace(**features)
        )
    assert accelerators.multiplies_bf16(gpu) == expected


# Precision


def settings():
    """What PyTorch does with products of float32 numbers on a GPU."""
    if not hasattr(torch.backends.cudnn, "conv"):
        matmul = torch.get_float32_matmul_precision()
        return [torch.backends.cudnn.allow_tf32, matmul]
    owners = (torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
    owners += (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)
    return [owner.fp32_precision for owner in owners]


class Asking(d2l.Classifier):
    """Notes the settings in each of its forward passes."""

    def __init__(self):
        super().__init__()
        self.save_hyperparameters()
        self.lr, self.num_classes, self.seen = 0.1, 10, []
        self.net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 10))

    def forward(self, X):
        self.seen.append(settings())
        return self.net(X)


def test_products_are_not_rounded_to_tf32(monkeypatch):
    """In steps, whatever the process has set; afterwards it is as before."""
    of_cuda = accelerators.in_fp32
    monkeypatch.setattr(accelerators, "in_fp32", lambda device: of_cuda(CUDA))
    before, model = settings(), Asking()
    assert {"tf32", True} & set(before)  # cuDNN's by default
    d2l.Trainer(1).fit(model, Data(d2l))
    d2l.predict(model, images((2, 1, 16, 16))[0])
    assert len(model.seen) > 4
    for seen in model.seen:
        assert set(seen) <= {"ieee", False, "highest"}
    assert settings() == before


def test_all_that_computes_forbids_tf32(monkeypatch):
    """The steps of a trainer, `predict` and `examine`."""
    asked = []

    def in_fp32(device):
        asked.append(device)
        return contextlib.nullcontext()

    monkeypatch.setattr(accelerators, "in_fp32", in_fp32)
    model = d2l.create_model("densenet_d2l", arch=(1,), num_channels=8)
    X, y = images((2, 1, 16, 16))
    d2l.predict(model, X)
    assert len(asked) == 1
    d2l.examine(model, X, y)
    assert asked == [d2l.cpu()] * 2
    assert models.accelerators is trainer.accelerators is accelerators


def test_tf32_before_pytorch_2_9(monkeypatch):
    cudnn = SimpleNamespace(allow_tf32=True)
    matmul = ["medium"]
    monkeypatch.setattr(torch.backends, "cudnn", cudnn)
    monkeypatch.setattr(torch, "get_float32_matmul_precision", lambda: matmul[-1])
    monkeypatch.setattr(torch, "set_float32_matmul_precision", matmul.append)
    with accelerators.in_fp32(CUDA):
        assert (cudnn.allow_tf32, matmul[-1]) == (False, "highest")
    assert (cudnn.allow_tf32, matmul[-1]) == (True, "medium")
    with accelerators.in_fp32(d2l.cpu()):
        assert cudnn.allow_tf32


def test_kinds_without_autocast(monkeypatch):
    monkeypatch.setattr(torch.amp, "is_autocast_available", lambda kind: False)
    with accelerators.autocast(torch.device("meta")):
        pass


# Data


@pytest.fixture
def calls(monkeypatch):
    """How tensors are moved: the names of methods, and their arguments."""
    made = []

    def to(tensor, device, non_blocking=False):
        made.append(("to", device, tensor.dtype, non_blocking))
        return tensor

    def pin_memory(tensor):
        made.append(("pin_memory",))
        return tensor

    monkeypatch.setattr(torch.Tensor, "to", to)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin_memory)
    return made


@pytest.mark.parametrize(
    ("gpu", "dtype", "pinned"),
    [(CUDA, torch.float64, True), (XPU, torch.float64, False), (MPS, None, False)],
)
def test_nothing_waits_for_a_batch(calls, gpu, dtype, pinned):
    """In float32 where there is no float64."""
    X = torch.zeros(2, dtype=torch.float64)
    accelerators.moved(X, gpu)
    copy = ("to", gpu, dtype or torch.float32, True)
    assert [c for c in calls if c[1:2] == (gpu,)] == [copy]
    assert (("pin_memory",) in calls) == pinned


@pytest.mark.parametrize(("free", "expected"), [(2**30, True), (2**20, False)])
def test_data_stay_on_a_gpu_with_room(monkeypatch, free, expected):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: (free, 2**40))
    assert accelerators.has_room(CUDA, 2**20) == expected
    assert not accelerators.has_room(MPS, 1)  # the processor's memory


def test_batches_of_resident_data(monkeypatch):
    """The same ones in the same order; the device is feigned by the CPU."""
    data = d2l.FashionMNIST(16, num_train=50, num_val=20)
    expected = [list(data.get_dataloader(train)) for train in (True, False)]

    def resident(images, labels):
        return torch.tensor(images), torch.tensor(labels)

    monkeypatch.setattr(data, "resident", resident)
    for train, batches in zip((True, False), expected, strict=True):
        loader = data.get_dataloader(train)
        assert (loader.images.dtype, loader.labels.dtype) == (torch.uint8,) * 2
        for batch, (X, y) in zip(loader, batches, strict=True):
            assert torch.equal(batch[0], X)
            assert torch.equal(batch[1], y)
            assert (batch[0].dtype, batch[1].dtype) == (X.dtype, y.dtype)


def test_data_are_put_on_the_gpu(monkeypatch):
    """Shapes and types alone: a device without memory takes its place."""
    monkeypatch.setattr("d2lext.torch.data.has_room", lambda gpu, num_bytes: True)
    data = d2l.FashionMNIST(16, resize=(32, 32), num_train=50, num_val=20)
    assert isinstance(data.train_dataloader().images, np.ndarray)
    data.device = torch.device("meta")
    loader = data.train_dataloader()
    assert (loader.images.device, loader.labels.device) == (data.device,) * 2
    X, y = next(iter(loader))
    assert (X.device, X.shape, X.dtype) == (data.device, (16, 1, 32, 32), torch.float32)
    assert (y.device, y.shape, y.dtype) == (data.device, (16,), torch.int64)


# Random numbers, optimisers, names


@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu"])
def test_random_numbers_of_each_kind(feign, kind):
    """Taken, put back and kept; MPS, which has one generator, takes no device."""
    gpu, now = torch.device(kind, 0), [torch.tensor([1, 2])]
    of_one = kind == "mps"

    def get(*device):
        assert device == (() if of_one else (gpu,))
        return now[-1]

    def put(state, *device):
        assert device == (() if of_one else (gpu,))
        now.append(state)

    feign(kind, get_rng_state=get, set_rng_state=put)
    saved = accelerators.rng_states([gpu])
    with accelerators.random_kept([gpu]):
        now.append(torch.tensor([3, 4]))
        drawn = torch.rand(())
    assert now[-1] is saved[0]
    assert drawn != torch.rand(()) or torch.rand(()) != drawn
    accelerators.set_rng_states([gpu], [torch.tensor([5])])  # another kind's
    assert now[-1] is saved[0]


def test_one_program_updates_all_on_cuda(monkeypatch):
    model = small(d2l)
    with torch.no_grad():
        model.eval()(torch.zeros(1, 1, 32, 32))
    assert not model.configure_optimizers().defaults["fused"]
    cuda = property(lambda param: True)
    monkeypatch.setattr(torch.nn.Parameter, "is_cuda", cuda, raising=False)
    assert model.configure_optimizers().defaults["fused"]
    model.words = torch.nn.Embedding(3, 4, sparse=True)  # fused, it cannot train
    assert not model.configure_optimizers().defaults["fused"]


def test_names(nvidia):
    nvidia((9, 0))
    torch.cuda.get_device_name = lambda gpu: "NVIDIA H200"
    assert accelerators.name(CUDA) == "NVIDIA H200"
    assert accelerators.name(MPS) == "Apple's GPU (MPS)"
