"""How fast this machine multiplies matrices, convolves and copies, in PyTorch.

A training step cannot exceed these rates; steps are compared with the rates measured in
the same run.
"""

import time

import torch
from torch.nn import functional as F

VERSIONS = ("torch",)
N = 2048  # rows and columns of the matrices
# A convolution of the network's first dense block: 3x3, 128 to 32 channels, 24x24
# pixels, 128 images; with a growth rate of 32 the others differ only in their input.
IMAGES, C_IN, C_OUT, PIXELS = 128, 128, 32, 24
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def _matmul(dtype):
    A, B = (torch.randn(N, N).to(DEVICE, dtype) for _ in range(2))
    return lambda: A @ B, 2 * N**3


def _conv(dtype):
    layout = {"device": DEVICE, "dtype": dtype, "memory_format": torch.channels_last}
    X = torch.randn(IMAGES, C_IN, PIXELS, PIXELS).to(**layout)
    W = torch.randn(C_OUT, C_IN, 3, 3).to(**layout)
    return lambda: F.conv2d(X, W, padding=1), 2 * IMAGES * PIXELS**2 * C_OUT * C_IN * 9


def _copy():
    X = torch.ones(2**26, device=DEVICE)  # 256 MiB, larger than the caches
    Y = torch.empty_like(X)
    return lambda: Y.copy_(X), 2 * X.nbytes  # read and written


class Rates:
    """The measurements by name, in FLOP/s; the copy in bytes/s."""

    versions = VERSIONS

    def prepare(self):
        """Allocate, and run each once."""
        self.work = {
            "matmul_fp32": _matmul(torch.float32),
            "matmul_bf16": _matmul(torch.bfloat16),
            "conv_fp32": _conv(torch.float32),
            "conv_bf16": _conv(torch.bfloat16),
            "copy": _copy(),
        }
        self.measure(0.02)
        return {"threads": torch.get_num_threads()}

    def measure(self, seconds=0.1):
        """The best rate of each within `seconds`: other programs can only lower it."""
        best = {}
        for name, (run, amount) in self.work.items():
            until, fastest = time.perf_counter() + seconds, float("inf")
            while time.perf_counter() < until:
                start = time.perf_counter()
                run()
                if DEVICE == "cuda":
                    torch.cuda.synchronize()
                fastest = min(fastest, time.perf_counter() - start)
            best[name] = amount / fastest
        return best


def start(_, __):
    """The measurements, not yet started."""
    torch.set_grad_enabled(False)
    return Rates()
