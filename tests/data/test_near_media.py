"""Near duplicates among media, by the vectors of their kinds."""

import numpy as np
import pytest

from rung.core.types import Field
from rung.data.prepare import near_media

FIELD = Field("photo", "image", "input")


def rows(count=40, width=64, seed=0):
    found = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(near_media, "_AT_ONCE", 7)


def test_each_row_is_paired_with_the_first_it_repeats():
    given = rows()
    given[[20, 33]], given[39] = given[3], given[21]
    first, second = near_media.near_pairs([FIELD], [given])
    assert dict(zip(second.tolist(), first.tolist(), strict=True)) == {20: 3, 33: 3, 39: 21}


def test_rows_near_to_others_are_found_whatever_the_block():
    given, others = rows(), rows(seed=1)
    others[[0, 30]] = given[[5, 39]]
    assert near_media.near_rows([FIELD], [given], [others]).tolist() == [5, 39]


def test_blank_rows_are_near_to_nothing():
    given = rows()
    given[[1, 2]] = 0
    assert not len(near_media.near_pairs([FIELD], [given])[0])


def test_every_field_must_be_near():
    one, other = rows(), rows(seed=1)
    one[7], one[9], other[9] = one[2], one[4], other[4]
    assert near_media.near_pairs([FIELD, FIELD], [one, other])[1].tolist() == [9]


def test_kinds_without_vectors_have_no_near_duplicates():
    text = Field("text", "text", "input")
    assert near_media.near_vectors([text], {"text": ["a", "a"]}) == []
    assert near_media.near_vectors([], {}) == []
    assert not len(near_media.near_rows([text], [], []))
