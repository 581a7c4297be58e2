"""What tests of weight files share: a small network, its weights, ways to refuse them."""

import re
import subprocess
import sys

import numpy as np
import pytest

from d2lext.core.densenet import formats
from d2lext.core.densenet.architecture import Architecture

# The smallest network with which every layer of a kind has a number above 10.
SMALL = Architecture(
    arch=(2, 2, 2, 2),
    growth_rate=4,
    num_channels=6,
    bottleneck_size=4,
    bias=False,
    num_classes=10,
    in_channels=3,
)


def random_weights(architecture):
    """Positive random weights by canonical name."""
    rng = np.random.default_rng(0)
    return {
        name: rng.random(shape, np.float32) + 0.1
        for name, shape in architecture.tensors().items()
    }


def refusal(path, architecture=SMALL):
    """The message of the error for the file, without its path."""
    with pytest.raises(ValueError, match=re.escape(str(path))) as caught:
        formats.read(path, architecture.layers())
    return str(caught.value).removeprefix(f"{path} ")


def assert_refused_when_truncated(files, path):
    """Each file of `files`, cut at many lengths and written to `path`, is refused."""
    architecture, sources = files
    for source in sources:
        data = source.read_bytes()
        lengths = [20, *(len(data) * i // 8 for i in range(1, 8)), len(data) - 1]
        for length in lengths:
            path.write_bytes(data[:length])
            assert "is truncated or damaged" in refusal(path, architecture), length


def read_without_any_framework(files):
    """Read the files in a process in which no framework can be imported."""
    architecture, paths = files
    script = (
        "import sys\n"
        "for name in 'torch', 'jax', 'flax', 'tensorflow', 'keras', 'mxnet':\n"
        "    sys.modules[name] = None\n"
        "from d2lext.core.densenet import formats\n"
        "assert not {'h5py', 'safetensors'} & set(sys.modules)\n"
        "from d2lext.core.densenet.architecture import Architecture\n"
        f"layers = Architecture(**{architecture.options()}).layers()\n"
        "for path in sys.argv[1:]:\n"
        "    formats.read(path, layers)\n"
    )
    subprocess.run([sys.executable, "-c", script, *map(str, paths)], check=True)
