"""Files of a data set: from a local folder, the cache, or their publisher.

Each file is verified by its checksum, wherever it comes from. Interpreting the files is
left to the data set's own module.
"""

import gzip
import hashlib
import os
import queue
import tempfile
import threading
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from tqdm import tqdm

from d2lext.core.files import folder as home_folder

TIMEOUT_S = 10  # without an answer, or without a byte while a download runs


class DataError(RuntimeError):
    """The data are not available; the message says why and how to get them."""


class NoNetworkError(DataError):
    """The publisher cannot be reached, and no file on this machine is damaged."""


class Files(NamedTuple):
    """The compressed files of a data set: their folder's name, their URL, and checksums.

    `sha256` is of each file, `unzipped` of its contents, which may also be a file, without
    the ending .gz. Other libraries keep them in `folders`.
    """

    name: str
    url: str  # ends with a slash
    sha256: dict[str, str]
    unzipped: dict[str, str]
    folders: tuple[str, ...] = ()


def find(files: Files) -> list[Path]:
    """The paths of `files`, in order, each verified by its checksum.

    They are in the folder that D2LEXT_DATA names, or else in the cache (D2LEXT_CACHE), to
    which missing files are downloaded. Raises DataError, or its subclass NoNetworkError
    if the caller may continue with other data.
    """
    if os.environ.get("D2LEXT_DATA"):
        return _find_local(files, home_folder(os.environ["D2LEXT_DATA"]))
    folder = cache_folder() / files.name
    needed = [n for n in files.sha256 if _sha256(folder / n) != files.sha256[n]]
    if needed:
        _check_writable(folder, needed)
        _check_reachable(files, folder, needed)
    for name in needed:
        _download(files, name, folder)
    return [folder / name for name in files.sha256]


def cache_folder() -> Path:
    """The folder for downloads: D2LEXT_CACHE, or the system's cache folder."""
    return home_folder(os.environ.get("D2LEXT_CACHE") or _pooch().os_cache("d2lext"))


def _pooch():
    with warnings.catch_warnings():
        # In a notebook without ipywidgets, it warns about a progress bar we do not use.
        warnings.simplefilter("ignore")
        import pooch
    return pooch


def _find_local(files, root):
    """The files below `root`, as this library lays them out, or another one."""
    found = [_found(files, root / name) for name in (files.name, *files.folders)]
    # The first folder that holds all of them, else one that holds some.
    paths = max(found, key=lambda paths: sum(path is not None for path in paths))
    missing = [n for n, path in zip(files.sha256, paths, strict=True) if path is None]
    if missing:
        problem = f"without {', '.join(missing)}"
        if not os.path.isdir(root):
            problem = "(no such folder)"
        elif len(missing) == len(files.sha256):
            problem = "without any of them"
        raise DataError(
            f"D2LEXT_DATA must name a folder that holds {files.name}/ with "
            f"{', '.join(files.sha256)}, or these in {' or '.join(files.folders)}, got "
            f"{str(root)!r} {problem}: correct it, or unset it to download them from "
            f"{files.url}"
        )
    for name, path in zip(files.sha256, paths, strict=True):
        damage = _damage(files, name, path)
        if damage:
            raise DataError(
                f"{damage}; copy it again from {files.url}, or unset D2LEXT_DATA to "
                "download it"
            )
    return paths


def _found(files, folder):
    """The path of each file in `folder`, compressed or not; None if it is missing."""
    return [
        next(filter(os.path.exists, (folder / n, folder / n.removesuffix(".gz"))), None)
        for n in files.sha256
    ]


def _check_writable(folder, needed):
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            f"the cache must be writable to download {', '.join(needed)} (missing or "
            f"damaged), got {str(folder)!r} ({error.strerror}): set D2LEXT_CACHE to a "
            "folder that you can write to, or D2LEXT_DATA to one that holds "
            f"{folder.name}/ with the files"
        ) from None


def _check_reachable(files, folder, needed):
    """Raise unless the publisher soon answers that it has the files."""
    reason = _no_answer(files.url + needed[0])
    if reason is None:
        return
    for name in needed:
        if os.path.exists(folder / name):
            raise DataError(
                f"{_damage(files, name, folder / name)}; {reason} to download it again: "
                f"connect to the network, or set D2LEXT_DATA to a folder that holds "
                f"{files.name}/ with the files, or delete this one"
            )
    raise NoNetworkError(reason)


def _no_answer(url):
    """Why nothing can be downloaded from `url`, or None."""
    import requests  # here, because data on this machine need none

    answers: queue.SimpleQueue[requests.Response | requests.RequestException]
    answers = queue.SimpleQueue()

    def ask():
        try:
            answers.put(requests.head(url, timeout=TIMEOUT_S, allow_redirects=True))
        except requests.RequestException as error:
            answers.put(error)

    # In a thread, because a name lookup has no timeout, and a connection's timeout
    # restarts for each address of the host.
    threading.Thread(target=ask, daemon=True).start()
    host = urlsplit(url).netloc
    try:
        answer = answers.get(timeout=TIMEOUT_S)
    except queue.Empty:
        answer = requests.Timeout()
    if isinstance(answer, requests.Timeout):
        return f"{host} did not answer within {TIMEOUT_S} s"
    if isinstance(answer, requests.RequestException):
        return f"{host} cannot be reached"
    return None if answer.ok else f"{host} answers {answer.status_code} {answer.reason}"


def _download(files, name, folder):
    """Download a file: it appears in `folder` complete and verified, or not at all."""
    import requests

    url = files.url + name
    remedy = (
        "try again later, or set D2LEXT_DATA to a folder that holds "
        f"{files.name}/ with the files"
    )
    pooch = _pooch()
    # Its messages reveal this machine's folders; the bar is enough.
    pooch.get_logger().setLevel("WARNING")
    # pooch sets the total later, but it treats a bar without one as no bar.
    with tqdm(desc=name, total=1, unit="B", unit_scale=True, ncols=79) as bar:
        try:
            # To a temporary file beside it, renamed once verified: two processes can
            # download the same file at once.
            pooch.retrieve(
                url,
                known_hash=f"sha256:{files.sha256[name]}",
                fname=name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUT_S, progressbar=bar),
            )
            (folder / name).chmod(0o644)  # temporary files are private to their owner
        except requests.RequestException as error:
            raise DataError(
                f"{url} must arrive in full, but the download failed with "
                f"{type(error).__name__}: {remedy}"
            ) from None
        except ValueError:  # pooch's error for a wrong checksum
            raise DataError(
                f"{url} must have the SHA-256 {files.sha256[name]}, got a truncated or "
                f"altered file, which was discarded: {remedy}"
            ) from None
        except OSError as error:
            raise DataError(
                f"the cache must be able to hold {name}, got {str(folder)!r} "
                f"({error.strerror}): set D2LEXT_CACHE to another folder"
            ) from None


def _damage(files, name, path):
    """What is wrong with an existing file, the one called `name`, or None."""
    is_zipped = path.name == name
    expected = (files.sha256 if is_zipped else files.unzipped)[name]
    actual = _sha256(path)
    # Others compress the same contents to different bytes.
    if actual == expected or (
        is_zipped and _sha256(path, gzip.open) == files.unzipped[name]
    ):
        return None
    if actual is None:
        return f"{path} must be a file that you can read, got something else"
    return (
        f"{path} must have the SHA-256 {expected}, got {actual} (truncated or altered)"
    )


def _sha256(path, open=open):
    """The SHA-256 of a file in hexadecimal, or None if it cannot be read.

    With `gzip.open` it is that of the contents.
    """
    try:
        with open(path, "rb") as file:
            digest = hashlib.sha256()  # Python 3.10 has no hashlib.file_digest
            while block := file.read(2**20):
                digest.update(block)
            return digest.hexdigest()
    except (OSError, EOFError, zlib.error):
        return None
