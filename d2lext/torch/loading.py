"""Imports PyTorch, or says how to install it."""

from d2lext.core.frameworks import needed_by

with needed_by("torch"):
    import torch  # noqa: F401  here for its error
