"""Measure the journal: 2,000 predictions a second, and queries among ten million rows.

    python benchmarks/journal.py rate [--per-second 2000] [--seconds 10]
    python benchmarks/journal.py queries [--rows 10000000] [--folder FOLDER]

rate: predictions are handed in evenly, as a server's threads would. Acknowledged: its commit is in the system's hands,
where kill -9 does not reach. On disk: the next sync of the log that began after it has ended, where power cuts do not.
queries: what the server and its operators ask, each three times, the slowest counts; needs 6 GB for ten million rows.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text

from rung.journal import data_subjects
from rung.journal.encryption import MASTER_KEY_VARIABLE, new_master_key
from rung.journal.records import FeedbackRecord, PredictionRecord, new_id
from rung.journal.schema import FILE_NAME
from rung.journal.writer import Journal

WORDS = "the striker scored twice in the cup final and the coach praised his young team after a long evening match"
DAYS = 100
SUBJECTS = 100_000
THREADS = 2
# Rows are made inside SQLite: ids sort by time as ours do, a subject has rows over all the time, one in 50 has feedback.
ROWS = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :rows)
INSERT INTO predictions (id, at, request_id, model, version, answered_by, caller, subject, input, input_kept, input_hash,
                         output, probability, latency_ms, price_usd)
SELECT printf('%012x%04x%016x', CAST((:first + i * :step) * 1000 AS INTEGER), i % 65536, abs(random())), :first + i * :step,
       printf('%016x', i), 'model-' || (i % 3), 'v' || (i / 1000000), 'tfidf_linear', 'shop',
       printf('%032x', (i * 7919) % :subjects), CAST('{"text": "' || hex(randomblob(50)) || '"}' AS BLOB), 'plain', printf('%032x', i),
       '{"label": "label-' || (i % 20) || '", "probability": 0.9}', 0.9, 1.5, 1e-7
FROM n
"""
SAID = """
INSERT INTO feedback SELECT id, at + 60, id, '"label-1"', 'user', 'shop' FROM predictions WHERE rowid % 50 = 0
"""


def served() -> PredictionRecord:
    return PredictionRecord(
        new_id(), time.time(), "r", "posts", "v1", "frozen_encoder", "shop", None, {"text": WORDS},
        {"label": "sports", "probability": 0.9}, 2.5, 1e-7,
    )  # fmt: skip


def measure_rate(per_second: int, seconds: float) -> str:
    """Return a line with what was reached, and how long records took to be acknowledged and on disk."""
    os.environ[MASTER_KEY_VARIABLE] = new_master_key()
    syncs: list[tuple[float, float]] = []
    true_sync = os.fdatasync

    def sync(handle: int) -> None:
        begun = time.perf_counter()
        true_sync(handle)
        syncs.append((begun, time.perf_counter()))

    os.fdatasync = sync  # type: ignore[assignment]
    taken: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder))
        begun = time.perf_counter()

        def hand_in(share: int) -> None:
            for n in range(share, int(per_second * seconds), THREADS):
                wait = begun + n / per_second - time.perf_counter()
                if wait > 0:
                    time.sleep(wait)
                _hand_in(journal, taken)

        threads = [threading.Thread(target=hand_in, args=(share,)) for share in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        lasted = time.perf_counter() - begun
        journal.close()
    acknowledged = sorted((done - start) * 1e3 for start, done in taken)
    on_disk = sorted((_synced(syncs, done) - start) * 1e3 for start, done in taken)
    told = (f"{len(taken) / lasted:.0f} predictions/s handed in and committed for {lasted:.1f} s", *(
        f"{name}: p50 {v[len(v) // 2]:.1f}, p99 {v[int(len(v) * 0.99)]:.1f}, longest {v[-1]:.1f} ms"
        for name, v in (("acknowledged", acknowledged), ("on disk", on_disk))
    ))  # fmt: skip
    return "; ".join(told)


def _hand_in(journal: Journal, taken: list[tuple[float, float]]) -> None:
    start = time.perf_counter()

    def done(error: BaseException | None) -> None:
        if error:
            raise SystemExit(str(error))
        taken.append((start, time.perf_counter()))

    journal.submit([served()], done)


def _synced(syncs: list[tuple[float, float]], committed: float) -> float:
    return next(end for begun, end in syncs if begun >= committed)


def fill(path: Path, rows: int) -> float:
    """Fill an empty journal; return the seconds. Without a log, and with the indexes made at the end: it is only for measuring."""
    begun = time.perf_counter()
    now = time.time()
    values = {"rows": rows, "first": now - DAYS * 86_400, "step": DAYS * 86_400 / rows, "subjects": SUBJECTS}
    raw = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000", "temp_store=MEMORY"):
        raw.execute(f"PRAGMA {pragma}").close()
    raw.execute("BEGIN")
    indexes = raw.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").fetchall()  # fmt: skip
    for name, _ in indexes:
        raw.execute(f"DROP INDEX {name}")
    names = "SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :subjects"
    raw.execute(
        f"WITH RECURSIVE n(i) AS ({names}) INSERT INTO subjects (id, made_at) SELECT printf('%032x', i), :first FROM n", values
    )  # fmt: skip
    raw.execute(ROWS, values)
    raw.execute(SAID)
    for _, sql in indexes:
        raw.execute(sql)
    raw.execute("COMMIT")
    raw.execute("PRAGMA journal_mode=WAL").close()
    raw.close()
    return time.perf_counter() - begun


def questions(journal: Journal, rows: int) -> dict[str, Callable[[], Any]]:
    """Return what is asked of a full journal, by name."""
    now = time.time()

    def ask(sql: str, **values: Any) -> Callable[[], Any]:
        return lambda: journal.read(lambda c: c.execute(text(sql), values).all())

    one = journal.read(
        lambda c: c.scalar(text("SELECT prediction FROM feedback WHERE at > :t LIMIT 1"), {"t": now - 4e6})
    )
    turn = iter(range(1, 1_000))

    def whose() -> str:
        """A subject as it stands in the table: export and erase hash the name, so the hash is made to be this."""
        return f"{next(turn):032x}"

    journal.encoder.subject_id = lambda subject: subject  # type: ignore[method-assign]
    recent = {"model": "model-1", "since": now - 86_400}
    return {
        "one prediction with its feedback": lambda: data_subjects.find_prediction(journal, one),
        f"export of a subject with {rows // SUBJECTS} predictions": lambda: data_subjects.export_subject(journal, whose()),
        "erasing such a subject, log emptied": lambda: data_subjects.erase_subject(journal, whose(), "admin"),
        "feedback for one prediction": lambda: journal.write(
            FeedbackRecord(new_id(), time.time(), one, '"label-2"', "user", "shop")
        ),
        "a model's predictions of a day, by label": ask(
            "SELECT json_extract(output, '$.label') AS label, count(*), avg(probability) FROM predictions "
            "WHERE model = :model AND at >= :since GROUP BY label", **recent,
        ),
        "a model's latest 1,000 predictions": ask(
            "SELECT * FROM predictions WHERE model = :model ORDER BY at DESC LIMIT 1000", **recent
        ),
        "feedback of a week with its predictions": ask(
            "SELECT f.answer, p.output FROM feedback f JOIN predictions p ON p.id = f.prediction WHERE f.at >= :since",
            since=now - 7 * 86_400,
        ),
        "a day's predictions, counted and priced": ask(
            "SELECT count(*), sum(price_usd) FROM predictions WHERE at >= :since AND at < :until",
            since=now - 50 * 86_400, until=now - 49 * 86_400,
        ),
        "one portion of what keep_days takes away": lambda: data_subjects.expire_batch(journal, now - 90 * 86_400),
    }  # fmt: skip


def measure_queries(rows: int, place: Path | None) -> list[str]:
    """Return a table of the slowest of three runs of each question, and what filling took."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        Journal(Path(folder), "plain").close()
        took = fill(Path(folder) / FILE_NAME, rows)
        journal = Journal(Path(folder), "plain")
        size = journal.path.stat().st_size / 1e9
        lines = [f"{rows:,} rows, {size:.1f} GB, filled in {took:.0f} s\n", "| question | seconds, slowest of 3 |", "|---|---|"]  # fmt: skip
        for name, question in questions(journal, rows).items():
            seconds = []
            for _ in range(3):
                begun = time.perf_counter()
                question()
                seconds.append(time.perf_counter() - begun)
            lines.append(f"| {name} | {max(seconds):.3f} |")
        begun = time.perf_counter()
        journal.close()
        Journal(Path(folder), "plain").close()
        lines.append(f"| closing and opening it again | {time.perf_counter() - begun:.3f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("rate", "queries"))
    parser.add_argument("--per-second", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}\n")  # fmt: skip
    if asked.what == "rate":
        print(measure_rate(asked.per_second, asked.seconds))
    else:
        print("\n".join(measure_queries(asked.rows, asked.folder)))


if __name__ == "__main__":
    main()
