"""Every kind keeps the public contract."""

import pytest

from rung.core.kind import kind_names
from rung.testing import check_kind


@pytest.mark.parametrize("name", kind_names())
def test_the_contract(name):
    check_kind(name)
