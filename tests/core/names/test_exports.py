"""Names that chapters export."""

import pickle

import pytest
from shared.selected import in_backends

from d2lext.core.names import exports


def test_an_unknown_name_of_the_library():
    with pytest.raises(
        AttributeError, match="'d2lext.torch' has no attribute 'DensNet'"
    ):
        exports.lookup("d2lext.torch", "DensNet")


@in_backends("torch")
def test_options_of_networks_have_names(d2l):
    with pytest.raises(
        TypeError, match=r"^densenet121 takes .* got 14: .*num_classes="
    ):
        d2l.densenet121(14)
    with pytest.raises(TypeError, match="takes 1 positional argument but 2 were given"):
        d2l.create_model("densenet121", 14)
    create = pickle.loads(pickle.dumps(d2l.densenet121))
    assert create(arch=(1,), growth_rate=4, num_channels=8).arch == (1,)
