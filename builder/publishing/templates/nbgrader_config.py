"""For nbgrader, in the folder of the course."""

import os

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import v4
from nbgrader import preprocessors, utils
from nbgrader.api import Gradebook


class KeepLast(preprocessors.DeduplicateIds):
    """Grade the last of several cells with one id, which splitting or copying makes.

    nbgrader itself empties the metadata of the others, and then refuses the notebook as
    of "an old version", and grades nobody's after it: as of any cell whose metadata are
    empty or of another version. Here they become ordinary cells.
    """

    def preprocess_cell(self, cell, resources, cell_index):  # noqa: ANN201  as nbgrader's
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if cell.metadata.get("nbgrader", {}).get("schema_version") != 3:
            cell.metadata.pop("nbgrader", None)
        return cell, resources


class PutBack(preprocessors.NbGraderPreprocessor):
    """Put the locked cell above an answer, `grading.begin`, where it belongs.

    VS Code and Google Colab let students delete and move it. A right answer would not
    count then, as what it shows would be that of the answer before, or nobody's.
    """

    def preprocess(self, nb, resources):  # noqa: ANN201  as nbgrader's
        where = resources["nbgrader"]
        with Gradebook(where["db_url"]) as gradebook:
            found = gradebook.find_notebook(where["notebook"], where["assignment"])
            for cell in found.source_cells:
                if cell.name.endswith("-begin"):
                    self._put_back(nb, cell)
        return nb, resources

    def _put_back(self, nb, begin):
        ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
        answer = begin.name.removesuffix("-begin")
        if answer not in ids:
            return
        before = [name for name in ids[: ids.index(answer)] if name]
        if before[-1:] == [begin.name]:
            return
        self.log.warning("Cell '%s' is not above its answer: put back", begin.name)
        cells = [
            cell for cell, name in zip(nb.cells, ids, strict=True) if name != begin.name
        ]
        place = cells.index(nb.cells[ids.index(answer)])
        # Above the cells of code that a student may have put there.
        while place and cells[place - 1].cell_type == "code":
            if "nbgrader" in cells[place - 1].metadata:
                break
            place -= 1
        cell = v4.new_code_cell(begin.source)
        if nb.nbformat_minor < 5:  # as Google Colab writes it
            del cell["id"]
        cell.metadata["nbgrader"] = {
            "schema_version": 3,
            "grade_id": begin.name,
            "cell_type": "code",
            "solution": False,
            "grade": False,
            "locked": True,
            "task": False,
        }
        cells.insert(place, cell)
        nb.cells = cells


class OutliveAnswers(preprocessors.Execute):
    """Run the notebook again without a cell that ends the kernel, or does not end.

    nbgrader itself gives the student no points for the whole notebook. It interrupts what
    takes too long, and goes on with the next cell unless the code catches the interrupt.
    """

    def preprocess(self, nb, resources, km=None):  # noqa: ANN201  as nbgrader's
        self._left_out = set()
        while True:
            self._last = None
            try:
                return super().preprocess(nb, resources, km)
            except (CellTimeoutError, DeadKernelError):
                if self._last is None:
                    raise
            self._left_out.add(self._last)
            cell = nb.cells[self._last]
            text = "This cell ended the kernel, or did not end: run again without it."
            cell.outputs = [
                v4.new_output("error", ename="DeadKernelError", evalue=text)
            ]
            cell.outputs[0].traceback = [text]
            where = resources["nbgrader"]
            self.log.warning(
                "%s, %s: a cell ended the kernel, or did not end: run again without it\n%s",
                *(where["student"], where["notebook"], cell.source),
            )

    def preprocess_cell(self, cell, resources, index):  # noqa: ANN201  as nbgrader's
        if index in self._left_out:
            return cell, resources
        if cell.cell_type == "code" and not utils.is_locked(cell):
            self._last = index  # it is to blame, even if the kernel ends a little later
        return super().preprocess_cell(cell, resources, index)


c = get_config()  # type: ignore[name-defined]  # noqa: F821  nbgrader defines it
# A cell has 30 s by default, and training takes longer.
c.ExecutePreprocessor.timeout = 1200
# `exit()` and `quit()` in an answer: its values count as shown until then.
c.ExecutePreprocessor.extra_arguments = [
    "--IPKernelApp.exec_lines=get_ipython().ask_exit = lambda: print("
    "'The kernel runs on, for the other answers.', file=__import__('sys').stderr)"
]
os.environ.setdefault("D2LEXT_FAST", "1")  # training is cut to a few steps
c.Autograde.sanitize_preprocessors = [
    preprocessors.ClearOutput,
    KeepLast,
    PutBack,
    preprocessors.OverwriteKernelspec,
    preprocessors.OverwriteCells,
    preprocessors.CheckCellMetadata,
]
c.Autograde.autograde_preprocessors = [
    OutliveAnswers,
    preprocessors.IgnorePattern,
    ClearMetadataPreprocessor,
    preprocessors.LimitOutput,
    preprocessors.SaveAutoGrades,
    preprocessors.AssignLatePenalties,
    preprocessors.CheckCellMetadata,
]
