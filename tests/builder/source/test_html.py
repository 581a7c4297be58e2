"""HTML in prose: what each form can show is allowed, all else is refused at its line."""

import pytest

from builder.errors import BookError
from builder.source import reader

REFUSED = {
    "a <div>b</div>": "not every form of the book shows <div>",
    "a List<int> b": "`<int>` if readers should see it",
    "a <sub>b": "<sub> is never closed",
    "a b</sub>": "</sub> closes nothing",
    "*a <b>b* c</b>": "<b>",
    "a <b><i>b</b></i>": "</b> closes nothing",
    'a <br class="x"> b': "has attributes",
    '<img src="img/a.png">': "write an image as !",
    "<b>\n\na</b>": "<b>",
    "<details>\na\n</details>": "<details>",
    "a <?php ?> b": "<?php ?>",
    "a\n<hr> b": "<hr>",
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_other_html_is_refused_at_its_line(tmp_path, wrong):
    path = tmp_path / "chapters" / "01-a.md"
    path.parent.mkdir()
    path.write_text(f"# T\n\nAll is well.\n\n{wrong}\n")
    line = 6 if wrong.startswith("a\n") else 5
    with pytest.raises(BookError, match=f"01-a.md:{line}: ") as caught:
        reader.read(path, tmp_path)
    assert REFUSED[wrong] in str(caught.value)
