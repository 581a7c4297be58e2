"""What the GPUs that TensorFlow drives can do."""

import contextlib

import tensorflow as tf


def on(device):
    """A context in which TensorFlow computes on a device, if one is named."""
    return device or contextlib.nullcontext()


def details(device):
    """What TensorFlow knows of the GPU on which `with device:` computes; {} on the CPU."""
    with on(device):
        place = tf.DeviceSpec.from_string(tf.zeros(()).device)
    if place.device_type != "GPU":
        return {}
    gpu = tf.config.get_visible_devices("GPU")[place.device_index]
    return {"device_name": str(gpu), **tf.config.experimental.get_device_details(gpu)}


def multiplies_bf16(device):
    """Whether a GPU multiplies bfloat16 itself; older ones of NVIDIA's emulate it."""
    return details(device).get("compute_capability", (0, 0)) >= (8, 0)


def has_room(device, shape):
    """Whether a GPU has memory for float32 numbers of a `shape`; False on the CPU."""
    if not details(device):
        return False
    try:
        with device:  # TensorFlow does not say how much it could still take
            tf.zeros(shape)
    except tf.errors.ResourceExhaustedError:
        return False
    return True
