"""Names that chapters export."""

import pytest

from d2lext.core.names import exports


def test_an_unknown_name_of_the_library():
    with pytest.raises(
        AttributeError, match="'d2lext.torch' has no attribute 'DensNet'"
    ):
        exports.lookup("d2lext.torch", "DensNet")
