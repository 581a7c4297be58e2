"""Imports PyTorch, or says how to install it."""

import os

from d2lext.core.frameworks import needed_by

# Tensors in huge pages: a CPU step touches more small pages than the processor can keep
# addresses for. PyTorch reads this when it is loaded.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")

with needed_by("torch"):
    import torch  # noqa: F401  here for its error
