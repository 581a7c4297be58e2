"""Standard error, silent for a while below Python's own."""

import os

import pytest

from d2lext.core.machine.quiet import quiet_stderr


def test_quiet_stderr(capfd):
    with quiet_stderr():
        os.write(2, b"noise")
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"
    with pytest.raises(ZeroDivisionError), quiet_stderr():
        os.write(2, b"reason" * (1 // 0 if os.write(2, b"reason") else 1))
    assert capfd.readouterr().err == "reason"
