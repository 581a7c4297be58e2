"""Members of the zip archives that PyTorch and Keras write."""

import zipfile

from d2lext.core.densenet.formats.tensors import WeightFileError


def read_member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member that is not compressed, and is thus no longer than the archive itself."""
    member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        raise WeightFileError(
            f"must be an uncompressed archive, {name} is compressed: use the file as "
            "its framework wrote it"
        )
    return archive.read(member)
