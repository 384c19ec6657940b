"""Audit rounds: drawn by a key, in the order of arrival, whole or not at all, each used once."""

import numpy as np
import pytest

from rung.core.certificate_lock import CertificateLock
from rung.core.errors import RungError
from rung.improvement.audit_rounds import (
    charge_optional_stopping,
    form_rounds,
    is_audited,
    read_rounds,
    unused_rounds,
    usable_rounds,
)


def arrived(count, begin=0):
    return [(f"p{i:04d}", f"{i + 1:016x}", float(i)) for i in range(begin, begin + count)]


def test_the_share_is_kept_and_another_journal_draws_others():
    units = [f"{i * 0x9E3779B97F4A7C15 % 2**64:016x}" for i in range(20_000)]
    ours = np.array([is_audited(b"salt", unit, 0.2) for unit in units])
    theirs = np.array([is_audited(b"pepper", unit, 0.2) for unit in units])
    assert abs(ours.mean() - 0.2) < 0.01 and abs((ours & theirs).mean() - 0.04) < 0.01
    wider = np.array([is_audited(b"salt", unit, 0.3) for unit in units])
    assert not (ours & ~wider).any(), "a larger share keeps what was drawn"


def test_rounds_are_written_once_and_never_change(tmp_path):
    found, waiting = form_rounds(tmp_path, "news", arrived(25), 10)
    assert [one.predictions[0] for one in found] == ["p0000", "p0010"] and len(waiting) == 5
    again, waiting = form_rounds(tmp_path, "news", arrived(32), 7)
    assert again[:2] == found and again[2].predictions == tuple(f"p{i:04d}" for i in range(20, 27))
    assert (
        len(waiting) == 5 and read_rounds(tmp_path, "news") == again and read_rounds(tmp_path, "other") == []
    )
    path = tmp_path / "audit_rounds.jsonl"
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(RungError, match="cannot be read"):
        read_rounds(tmp_path, "news")


def test_whole_rounds_from_the_oldest_on_in_powers_of_two(tmp_path):
    lock = CertificateLock(tmp_path / "certificate.lock")
    rounds, _ = form_rounds(tmp_path, "news", arrived(70), 10)
    every = {p for one in rounds for p in one.predictions}
    assert [one.number for one in usable_rounds(rounds, every, lock)] == [1, 2, 3, 4]
    assert [one.number for one in usable_rounds(rounds, every - {"p0035"}, lock)] == [1, 2]
    assert usable_rounds(rounds, every - {"p0003"}, lock) == [], (
        "one row put off keeps its round, and all after it, from counting"
    )
    chosen = usable_rounds(rounds, every, lock)
    charge_optional_stopping(chosen, lock, 0.95)
    charge_optional_stopping(chosen, lock, 0.95)
    assert [look["outcome"] for look in lock.looks()] == ["failed"] * 2, (
        "stopping at one round, and at two, was possible"
    )
    assert [look["alpha"] for look in lock.looks()] == pytest.approx([0.025, 0.0125])
    assert [one.number for one in unused_rounds(rounds, lock)] == [3, 4, 5, 6, 7]
