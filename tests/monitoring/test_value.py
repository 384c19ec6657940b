"""`rung value`: what it costs, what it brings and what a language model would have cost, each with its source."""

import json
import time

import pytest

from rung.core.messages import LANGUAGES
from rung.core.prices import load_prices
from rung.core.spec.value import ValueSpec
from rung.journal.reader import LoggedPrediction
from rung.journal.records import FeedbackRecord, new_id
from rung.journal.writer import Journal
from rung.monitoring.drift.reference import read_reference
from rung.monitoring.value import (
    UsageTotals,
    accuracy_estimate,
    break_even_requests,
    monthly_cost,
    value_report,
)
from rung.pages.value import llm_lines, render, summary
from rung.workflows.monitor import business_value
from served_rows import write_rows
from support import run_cli, write_spec

SPEC = ValueSpec(per_correct=0.3, per_error=-2.0, fixed_per_month=10.0)


def tally(rows=301, days=3.0, usd=1e-6, text="x" * 400):
    found = UsageTotals()
    step = days * 86_400 / (rows - 1)
    found.add(
        LoggedPrediction(f"{i:032x}", i * step, {"text": text}, "", None, {}, 1.0, usd) for i in range(rows)
    )
    return found


def manifest(bound=None):
    from types import SimpleNamespace

    said = {
        "conditions": [{"metric": "accuracy", "bound": bound, "exact": True}],
        "units": 400,
        "confidence": 0.95,
    }
    output = SimpleNamespace(name="label")
    return SimpleNamespace(
        name="desk", certificate=said if bound else None, schema=SimpleNamespace(outputs=[output])
    )


def test_requests_a_month_and_what_they_cost():
    found = value_report(
        manifest(0.9), tally(), load_prices(), SPEC, accuracy_estimate([], manifest(0.9), None), 0.2
    )
    assert found["per_month"] == pytest.approx(3_000) and found["usd_spent"] == pytest.approx(301e-6)
    # One core all month at 0.05 an hour, and what is fixed.
    assert found["usd_per_month"] == pytest.approx(0.05 * 720 + 10)
    worth = found["value"]
    assert worth["usd_per_request"] == pytest.approx([0.9 * 0.3 - 0.1 * 2, 0.3])
    assert worth["net_per_month"][0] == pytest.approx(3_000 * 0.07 - 46)
    assert worth["errors_avoided_per_month"] == pytest.approx([0.7 * 3_000, 0.8 * 3_000])
    assert worth["pays_from"] == 658  # 46 / 0.07


def test_a_language_model_is_priced_by_tokens_of_the_inputs():
    found = value_report(manifest(), tally(), load_prices(), None, None, None)["llm"]
    assert found["input_tokens"] == 100 and found["readable"] == 301
    flash = next(model for model in found["models"] if model["name"].startswith("DeepSeek"))
    assert flash["usd_per_request"] == pytest.approx(((100 + 120) * 0.14 + 10 * 0.28) / 1e6)
    assert flash["usd_per_month"] == pytest.approx(3_000 * flash["usd_per_request"])


@pytest.mark.parametrize("own,each", [(1e-7, 1e-4), (5e-5, 3e-4), (1e-4, 1e-2)])
def test_break_even_is_where_the_lines_cross(own, each):
    found = {"usd_per_core_month": 36.0, "usd_per_request": own, "fixed_per_month": 4.0}
    requests = break_even_requests(found, each)
    assert monthly_cost(found, requests) <= requests * each
    assert monthly_cost(found, requests * 0.8) > requests * 0.8 * each * 0.8


def test_it_never_pays_where_an_answer_brings_less_than_it_costs():
    found = {"usd_per_core_month": 36.0, "usd_per_request": 1e-3, "fixed_per_month": 0.0}
    assert (
        break_even_requests(found, 1e-3) is None
        and break_even_requests(found, 0.0) is None
        and break_even_requests(found, -1.0) is None
    )


@pytest.fixture
def served(built, news_csv, tmp_path, fresh_rows):
    """A product with its journal of plain inputs: 200 rows over some seconds, three days ago."""
    spec = write_spec(tmp_path, news_csv, extra="value: {per_correct: 0.3, per_error: -2}\n")
    journal = Journal(tmp_path / "service", "plain")
    made = write_rows(journal, built, fresh_rows["tech"])
    (tmp_path / "service" / "champions.json").write_text(json.dumps({"desk": str(built.bundle)}))
    yield spec, journal, made
    journal.close()


def test_audited_rows_come_before_the_certificate_and_say_so(served, built):
    spec, journal, made = served
    report = business_value(spec)
    assert report["right"]["source"] == "certificate" and report["right"]["high"] == 1.0
    assert 0.1 < report["floor"] < 0.4
    said = [
        FeedbackRecord(new_id(), time.time() - 60, r.id, json.dumps(r.output["label"]), "audit", "rita")
        for r in made[:80]
    ]
    others = [FeedbackRecord(new_id(), time.time() - 60, r.id, '"none"', "user", "shop") for r in made[80:]]
    journal.write(*said, *others)
    report = business_value(spec)
    assert report["right"]["source"] == "audit" and report["right"]["rows"] == 80
    assert 0.9 < report["right"]["low"] < report["right"]["high"] == 1.0
    assert read_reference(built.bundle).predictions.rows > 100


@pytest.mark.parametrize("lang", LANGUAGES)
def test_words_and_page_in_both_languages(lang, served):
    report = json.loads(json.dumps(business_value(served[0])))
    said = " ".join(summary(report, lang))
    assert ("certified on" if lang == "en" else "的置信水平认证") in said
    assert len(llm_lines(report, lang)) == 6
    page = render(report, monthly_cost, lang)
    assert "<svg" in page and ("2026" in page) and "DeepSeek" in page


def test_the_command(served, tmp_path):
    spec = served[0]
    done = run_cli("value", spec, "--lang", "en", "--html", tmp_path / "value.html")
    assert done.returncode == 0, done.stderr
    assert "200 predictions within less than an hour" in done.stdout and "?" not in done.stdout
    assert "tokens of input (4 characters or 1.5 Chinese characters per token" in done.stdout
    assert "你给出的数字" in run_cli("value", spec, "--lang", "zh").stdout
    assert json.loads(run_cli("value", spec, "--json").stdout)["rows"] == 200
    assert (tmp_path / "value.html").is_file()


@pytest.mark.parametrize(
    ("minutes", "said"), [(5, "within less than an hour"), (180, "There is less than a day of data")]
)
def test_a_month_is_not_told_from_minutes(minutes, said):
    usage = UsageTotals()
    usage.add(
        [LoggedPrediction("0" * 32, at, None, "hash", None, {}, 1.0, 1e-6) for at in (0.0, minutes * 60.0)]
    )
    report = value_report(manifest(0.9), usage, load_prices(), None, None, None)
    assert said in " ".join(summary(report, "en")) and (report["per_month"] is None) == (minutes < 60)


def test_without_inputs_or_numbers_it_says_what_is_missing():
    bare = UsageTotals()
    bare.add(
        [LoggedPrediction("0" * 32, float(i), None, "hash", None, {}, 1.0, 1e-6) for i in (0, 86_400 * 2)]
    )
    found = value_report(
        manifest(0.9), bare, load_prices(), None, accuracy_estimate([], manifest(0.9), None), None
    )
    assert summary(found, "en")[0] == "2 predictions in 2.0 days, 15 per month at that rate."
    assert found["llm"] is None and "No inputs can be read" in llm_lines(found, "en")[0]
    assert "per_correct" in summary(found, "en")[-1]
    nothing = value_report(manifest(), UsageTotals(), load_prices(), None, None, None)
    assert summary(nothing, "en") == ["There are no served predictions yet."]
