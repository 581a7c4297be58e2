"""A page from four notebooks."""

from builder.notebooks import outputs
from builder.notebooks.edition import editions
from builder.publishing import tabs
from d2lext.core.frameworks import IDS


def test_merging_makes_tabs_of_what_differs(recorded):
    page = tabs.merged(list(editions(recorded.book)))
    tags = [cell.metadata.tags for cell in page.cells]
    four = [[f"tab-{backend}"] for backend in IDS]
    assert tags == [[], *four, *four, ["train"], ["export", "tab-torch"]]
    shown = [
        outputs.shown_text(cell.outputs) for cell in page.cells if "outputs" in cell
    ]
    assert shown == ["", "", "", "", "1", "2", "2", "2", "42", ""]
