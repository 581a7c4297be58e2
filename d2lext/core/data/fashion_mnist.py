"""Fashion-MNIST (Xiao et al., 2017) as NumPy arrays.

The real images come from a folder, the cache or the publisher (see `download`). Without
a network, `garments` draws synthetic ones, and a notice says so.
"""

import functools
import gzip
from pathlib import Path
from typing import NamedTuple

import numpy as np

from d2lext.core.data import download, garments

LABELS = [
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
]
NUM_TRAIN, NUM_TEST = 60_000, 10_000
FILES = download.Files(
    name="fashion-mnist",
    url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    sha256={
        "train-images-idx3-ubyte.gz": (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
        ),
        "train-labels-idx1-ubyte.gz": (
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
        ),
    },
    unzipped={
        "train-images-idx3-ubyte.gz": (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
        ),
        "train-labels-idx1-ubyte.gz": (
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
        ),
        "t10k-images-idx3-ubyte.gz": (
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"
        ),
        "t10k-labels-idx1-ubyte.gz": (
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"
        ),
    },
    folders=(
        "FashionMNIST/raw",  # torchvision's, below its `root`
        "raw",
        "datasets/fashion-mnist",  # Keras' in ~/.keras, MXNet's in ~/.mxnet
        ".",  # the files themselves
    ),
)


class Source(NamedTuple):
    """The images, uint8 (n, 28, 28), their labels, uint8 (n,), and their origin.

    The arrays are shared between callers and read-only.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    origin: str  # "real" or "synthetic"


def load() -> Source:
    """The real Fashion-MNIST or, without a network, synthetic garments and a notice.

    Raises `download.DataError` if files are damaged, or missing from the folder that
    D2LEXT_DATA names.
    """
    try:
        paths = download.find(FILES)
    except download.NoNetworkError as error:
        print(_notice(error), flush=True)
        return _synthetic()
    # The checksums, verified by `find`, determine the contents, which can thus be cached.
    return _read(tuple(paths), tuple(FILES.unzipped.values()))


@functools.lru_cache(maxsize=1)
def _read(paths: tuple[Path, ...], checksums: tuple[str, ...]) -> Source:
    arrays = (parse_idx(_contents(path)) for path in paths)
    train_images, train_labels, test_images, test_labels = arrays
    return Source(train_images, train_labels, test_images, test_labels, origin="real")


def _contents(path: Path) -> bytes:
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def parse_idx(content: bytes) -> np.ndarray:
    """The array in an IDX file of bytes: magic number, sizes, elements in C order."""
    zero, kind, num_axes = content[:2], content[2], content[3]
    if zero != b"\0\0" or kind != 0x08:  # 0x08: unsigned bytes
        raise ValueError(
            f"an IDX file of bytes must begin with 00 00 08, got {content[:3].hex()}"
        )
    start = 4 + 4 * num_axes
    shape = np.frombuffer(content[4:start], ">u4")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


@functools.cache
def _synthetic() -> Source:
    arrays = (*garments.draw(NUM_TRAIN, seed=0), *garments.draw(NUM_TEST, seed=1))
    for array in arrays:
        array.flags.writeable = False
    return Source(*arrays, origin="synthetic")


def _notice(reason: Exception) -> str:
    names = "\n".join(f"  {FILES.name}/{name}" for name in FILES.sha256)
    rule = "!" * 72
    return f"""\
{rule}
NO NETWORK: {reason}.
These are SYNTHETIC garments, drawn by the program, NOT Fashion-MNIST.
Everything runs, but losses and accuracies say nothing about the real images.
To use the real ones, connect to the network and run this again, or set
D2LEXT_DATA to a folder that holds
{names}
{rule}"""
