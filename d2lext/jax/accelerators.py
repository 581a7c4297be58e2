"""What each kind of device that JAX's plug-ins bring can do, and what it lacks.

CUDA is NVIDIA's, ROCm AMD's: JAX calls both platforms "gpu". Others are called "tpu" and,
for instance, "METAL".
"""

import contextlib

import jax


def found():
    """The devices, if there are any, that JAX uses instead of the CPU."""
    return [device for device in jax.devices() if device.platform != "cpu"]


def multiplies_bf16(device):
    """Whether a device multiplies bfloat16 numbers itself, faster than float32."""
    if device.platform != "gpu":
        return device.platform == "tpu"
    # NVIDIA's since Ampere, which is 8.0. AMD's have names such as gfx90a; those for which
    # JAX has a plug-in multiply it.
    major = getattr(device, "compute_capability", "").partition(".")[0]
    return not major.isdigit() or int(major) >= 8


def has_room(device, num_bytes):
    """Whether data of `num_bytes` would take at most a tenth of a device's free memory.

    A CPU, which holds them anyway, does not say what it has.
    """
    memory = device.memory_stats() or {}
    free = memory.get("bytes_limit", 0) - memory.get("bytes_in_use", 0)
    return num_bytes <= free // 10


def in_fp32(device):
    """A context in which a device multiplies float32 numbers as such, not rounded.

    By default GPUs round them to TF32, and TPUs to bfloat16.
    """
    if device.platform == "cpu":
        return contextlib.nullcontext()
    return jax.default_matmul_precision("highest")
