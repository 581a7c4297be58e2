"""For nbgrader, in the folder of the course."""

import os

from nbgrader import preprocessors


class KeepLast(preprocessors.DeduplicateIds):
    """Grade the last of several cells with one id, which splitting or copying makes.

    nbgrader itself leaves the others without an id, and then refuses the notebook as of
    "an old version", and grades nobody's after it. Here they become ordinary cells.
    """

    def preprocess_cell(self, cell, resources, cell_index):  # noqa: ANN201
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.metadata.get("nbgrader") == {}:
            del cell.metadata["nbgrader"]
        return cell, resources


c = get_config()  # type: ignore[name-defined]  # noqa: F821  nbgrader defines it
# A cell has 30 s by default, and training takes longer.
c.ExecutePreprocessor.timeout = 1200
os.environ.setdefault("D2LEXT_FAST", "1")  # training is cut to a few steps
c.Autograde.sanitize_preprocessors = [
    preprocessors.ClearOutput,
    KeepLast,
    preprocessors.OverwriteKernelspec,
    preprocessors.OverwriteCells,
    preprocessors.CheckCellMetadata,
]
