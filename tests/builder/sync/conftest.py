"""The book that the tests of `sync` edit."""

import pytest
from shared.blocks_book import Small


@pytest.fixture
def small(tmp_path):
    return Small(tmp_path)
