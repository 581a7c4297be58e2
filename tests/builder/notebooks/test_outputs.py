"""What a cell shows, as text."""

from nbformat.v4 import new_output

from builder.notebooks import outputs


def test_a_line_may_arrive_in_pieces():
    streams = [new_output("stream", text=text) for text in ("201", " 20013928\n264\n")]
    result = new_output("execute_result", data={"text/plain": "7"})
    assert outputs.shown_text([*streams, result]) == "201 20013928\n264\n7"
    assert outputs.shown_text([result]) == "7"
