"""What each kind of GPU that PyTorch drives can do, and what it lacks.

CUDA is NVIDIA's and, in another build, AMD's; MPS is Apple's and XPU Intel's. Another kind
comes with a package of its own. A build of PyTorch is for one of them.
"""

import contextlib
import itertools

import torch

# AMD's architectures whose matrix instructions take bfloat16; others convert it.
_AMD_BF16 = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")


def kind():
    """The kind of GPU that this build is for, "cuda" if for none."""
    if hasattr(torch, "accelerator"):
        found = torch.accelerator.current_accelerator()
        return found.type if found else "cuda"
    others = (kind for kind in ("mps", "xpu") if getattr(torch, kind).device_count())
    return next(others, "cuda")  # before PyTorch 2.6


def count():
    """How many GPUs there are that this build has code for, beginning with the first."""
    module = getattr(torch, kind())
    # With a driver that is too old, `device_count` would count them all the same.
    if not getattr(module, "is_available", module.device_count)():
        return 0
    served = itertools.takewhile(_is_served, range(module.device_count()))
    return len(list(served))


def problem():
    """A sentence on the GPU that this build has no code for; empty if there is none."""
    if not _is_nvidia() or not torch.cuda.is_available() or _is_served(0):
        return ""
    codes = ", ".join(torch.cuda.get_arch_list())
    return (
        f"PyTorch {torch.__version__} has code for the architectures {codes}, not for "
        f"the {torch.cuda.get_device_name(0)}, which is sm_{_capability(0)}: install a "
        "build that has it"
    )


def name(gpu):
    """What the maker calls a GPU."""
    module = getattr(torch, gpu.type)
    if hasattr(module, "get_device_name"):
        return module.get_device_name(gpu)
    return "Apple's GPU (MPS)" if gpu.type == "mps" else str(gpu)


def multiplies_bf16(gpu):
    """Whether a GPU multiplies bfloat16 numbers itself, faster than float32."""
    if gpu.type == "xpu":
        features = torch.xpu.get_device_properties(gpu)
        return getattr(features, "has_subgroup_matrix_multiply_accumulate", False)
    if gpu.type != "cuda":
        return False
    features = torch.cuda.get_device_properties(gpu)
    if torch.version.hip:
        return features.gcnArchName.startswith(_AMD_BF16)
    return features.major >= 8


def has_room(gpu, num_bytes):
    """Whether data of `num_bytes` would take at most a tenth of a GPU's free memory.

    Not where it is the processor's memory as well.
    """
    module = getattr(torch, gpu.type)
    if not hasattr(module, "mem_get_info"):
        return False
    return num_bytes <= module.mem_get_info(gpu)[0] // 10


def moved(tensor, device):
    """A tensor on a device, if one is named; the processor does not wait for it.

    From the processor's memory CUDA reads by itself only what stays in its place.
    """
    if device is None:
        return tensor
    device = torch.device(device)
    if device.type == "cuda" and tensor.is_cpu and tensor.layout == torch.strided:
        tensor = tensor.pin_memory()
    if device.type == "mps" and tensor.dtype == torch.float64:  # which it does not have
        tensor = tensor.float()
    return tensor.to(device, non_blocking=True)


def autocast(device, dtype=None):
    """A context that computes products in `dtype`, or as they are without one."""
    if dtype is None and not torch.amp.is_autocast_available(device.type):
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype, enabled=dtype is not None)


def in_fp32(device):
    """A context in which GPUs multiply float32 numbers as such, not rounded to TF32.

    By default they round them for convolutions, and elsewhere if somebody has said so.
    """
    if device.type == "cpu":
        return contextlib.nullcontext()
    return _ieee() if hasattr(torch.backends.cudnn, "conv") else _no_tf32()


@contextlib.contextmanager
def random_kept(gpus):
    """Within, random numbers are drawn; then those of the CPU and `gpus` are as before."""
    of_cpu, states = torch.get_rng_state(), rng_states(gpus)
    try:
        yield
    finally:
        torch.set_rng_state(of_cpu)
        set_rng_states(gpus, states)


def rng_states(gpus):
    """The states of GPUs' random numbers, as bytes of the CPU."""
    return [getattr(torch, gpu.type).get_rng_state(*_which(gpu)) for gpu in gpus]


def set_rng_states(gpus, states):
    """Let GPUs go on from `states`, as far as these are of their kind."""
    for gpu, state, now in zip(gpus, states, rng_states(gpus), strict=False):
        if state.shape == now.shape:
            getattr(torch, gpu.type).set_rng_state(state, *_which(gpu))


def in_use():
    """The GPUs that this process has used."""
    module = getattr(torch, kind())
    if not getattr(module, "is_initialized", lambda: True)():
        return []
    return [torch.device(kind(), i) for i in range(module.device_count())]


def _which(gpu):
    return () if gpu.type == "mps" else (gpu,)  # which older versions do not take


def _is_nvidia():
    return kind() == "cuda" and torch.version.cuda is not None


def _is_served(i):
    """Whether the build has code for the `i`-th GPU."""
    if not _is_nvidia():
        return True
    card = _capability(i)
    codes = [code.partition("_") for code in torch.cuda.get_arch_list()]
    numbers = [(kind, int("".join(filter(str.isdigit, n)))) for kind, _, n in codes]
    # Machine code is for one generation, PTX for all later ones.
    return not codes or any(
        code <= card and (kind == "compute" or code // 10 == card // 10)
        for kind, code in numbers
    )


def _capability(i):
    major, minor = torch.cuda.get_device_capability(i)
    return 10 * major + minor


@contextlib.contextmanager
def _ieee():
    backends = torch.backends
    owners = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    owners += (backends.mkldnn.conv, backends.mkldnn.matmul)  # Intel's GPUs
    before = [owner.fp32_precision for owner in owners]
    for owner in owners:
        owner.fp32_precision = "ieee"
    try:
        yield
    finally:
        for owner, value in zip(owners, before, strict=True):
            owner.fp32_precision = value


@contextlib.contextmanager
def _no_tf32():
    """The same before PyTorch 2.9."""
    cudnn, matmul = torch.backends.cudnn, torch.get_float32_matmul_precision()
    of_cudnn, cudnn.allow_tf32 = cudnn.allow_tf32, False
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        cudnn.allow_tf32 = of_cudnn
        torch.set_float32_matmul_precision(matmul)
