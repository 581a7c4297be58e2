"""A page from four notebooks."""

from builder.notebooks import outputs
from builder.publishing import tabs
from d2lext.core.frameworks import IDS


def test_merging_makes_tabs_of_what_differs(recorded):
    book = recorded.book
    [page] = tabs.pages(book).values()
    tags = [cell.metadata.tags for cell in page.cells]
    four = [[f"tab-{backend}"] for backend in IDS]
    assert tags == [[], *four, *four, ["train"], ["export", "tab-torch"]]
    shown = [
        outputs.shown_text(cell.outputs) for cell in page.cells if "outputs" in cell
    ]
    assert shown == ["", "", "", "", "1", "2", "2", "2", "42", ""]
