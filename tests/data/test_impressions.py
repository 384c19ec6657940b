"""What was shown and clicked: counted by item and place, and used for what is popular where that is better."""

import pytest
from test_event_table import SPEC, events, found_by, prepared

from rung.core.errors import DataError
from rung.core.model import FitContext
from rung.modalities.recommendation.impressions import Shown
from rung.models.popularity import Popularity
from support import write_csv

WITH = SPEC.replace(
    "time: time}",
    "time: time, impressions: {path: shown.csv, item: item, clicked: click, position: place, propensity: p}}",
)
HEADER = ["item", "click", "place", "p"]


def test_appeal_is_clicks_over_those_that_its_places_would_bring():
    found = Shown()
    for place, clicks in ((1, 50), (2, 10)):
        for n in range(100):
            found.add("front" if place == 1 else "back", place, n < clicks, None)
    for n in range(100):
        found.add("star", 2, n < 30, None)
    # Place 1 brings 0.5 clicks, place 2 brings 0.2.
    assert found.by_position() == {1: (100, 50), 2: (200, 40)}
    appeal = found.appeal(0.0)
    assert appeal == {"front": 1.0, "back": pytest.approx(0.5), "star": pytest.approx(1.5)}
    assert found.appeal(20.0)["star"] == pytest.approx(50 / 40)


def test_rows_that_cannot_be_used_are_counted_and_found(tmp_path):
    bad = [
        ("", "yes", 1, 0.5),
        ("i1", "maybe", 1, 0.5),
        ("i1", "no", 0, 0.5),
        ("i1", "no", "x", 0.5),
        ("i1", "no", 1, 1.5),
        ("i1", "no", 1, 0),
    ]
    good = [(f"i{n % 30}", n % 4 == 0, 1 + n % 3, 0.25) for n in range(60)]
    write_csv(tmp_path / "shown.csv", HEADER, [*bad, *good])
    found = prepared(tmp_path, events(), WITH)
    facts = found.facts["impressions"]
    assert facts["left_out"] == {"missing_item": 1, "bad_click": 1, "bad_position": 2, "bad_propensity": 2}
    assert (facts["shown"], facts["clicked"], facts["least_propensity"]) == (60, 15, 0.25)
    finding = found_by("impressions", found.dataset, WITH, tmp_path)
    assert finding.level == "warn" and finding.rows == 6 and finding.values["propensities"] == 60
    assert finding.values["rates"].startswith("1: ")


def test_a_table_without_a_usable_row_is_refused(tmp_path):
    write_csv(tmp_path / "shown.csv", HEADER, [("i1", "maybe", 1, 0.5)])
    with pytest.raises(DataError, match="none of its rows can be used: 1 bad_click"):
        prepared(tmp_path, events(), WITH)


def test_a_missing_column_is_said(tmp_path):
    write_csv(tmp_path / "shown.csv", ["item", "click", "place"], [("i1", "yes", 1)])
    with pytest.raises(DataError, match="'p'"):
        prepared(tmp_path, events(), WITH)


def people():
    """Everybody began with what was shown first; what they did later is what they liked."""
    return [
        (f"u{u}", item, 1_000 + n)
        for u in range(120)
        for n, item in enumerate(
            [f"pushed{(u + k) % 3}" for k in range(2)] + [f"liked{(u + k) % 10}" for k in range(6)]
        )
    ]


def test_clicks_that_places_explain_do_not_make_popular(tmp_path):
    shown = [(f"pushed{n % 3}", n % 4 == 0, 1, 0.5) for n in range(800)]
    shown += [(f"liked{n % 10}", n % 3 == 0, 2, 0.5) for n in range(300)]
    shown += [(f"other{n % 40}", False, 2, 0.5) for n in range(800)]
    write_csv(tmp_path / "shown.csv", HEADER, shown)
    model = Popularity.fit(*_fit(tmp_path, people(), WITH))
    assert model.chosen["exposure"] in {"times_appeal", "appeal"}
    plain = tmp_path / "plain"
    plain.mkdir()
    other = Popularity.fit(*_fit(plain, people(), SPEC))
    assert "exposure" not in other.chosen
    ours, theirs = (m.predict({"history": [["pushed0"]], "k": [4]})[0].value for m in (model, other))
    assert all(item.startswith("liked") for item in ours) and not all(
        item.startswith("liked") for item in theirs
    )


def _fit(folder, rows, spec):
    found = prepared(folder, rows, spec)
    tables = {"impressions": found.folder / "impressions.json"} if "impressions" in found.facts else {}
    return found.train, None, FitContext(tables=tables)
