"""Rules and repeats through the whole road: built, certified, served; and mistakes in them in words."""

import json

import pytest
from fastapi.testclient import TestClient

import rung
from rung.serving.http.app import create_app
from support import run_cli, write_csv, write_spec

RULES = """rules:
  - {contains: quidditch, answer: sports}
  - {matches: "press release*", answer: business}
"""


def models(report):
    return {trial["rung"]: trial["model"] for trial in report["trials"]}


@pytest.fixture(scope="module")
def ruled(news_csv, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ruled")
    return rung.build(write_spec(folder, news_csv, extra=RULES), run=folder / "run")


def test_a_product_with_rules_is_certified_and_its_rungs_stand_behind_the_lookup(ruled):
    assert ruled.cleared and ruled.report["certificate"]
    assert models(ruled.report) == {"majority": "majority", "lookup-tfidf_linear": "lookup"}
    said = ruled.report["trials"][-1]["chosen"]["rules"]
    assert said[0] == "contains 'quidditch' -> sports: right on 0 of 0 training rows"


def test_served_it_says_who_answered_and_why(ruled):
    client = TestClient(create_app([rung.load(ruled.bundle)]))
    rows = [{"text": "the QUIDDITCH cup"}, {"text": "The striker scored twice in the final"}]
    reply = client.post("/v1/models/desk/predict", json={"inputs": rows, "explain": True})
    rule, model = reply.json()["predictions"]
    assert (rule["label"], rule["answered_by"]) == ("sports", "lookup")
    assert rule["reasons"] == [{"text": "contains 'quidditch' -> sports", "weight": 1.0}]
    assert (model["label"], model["answered_by"]) == ("sports", "tfidf_linear")
    assert len(model["reasons"]) > 1


def test_the_command_line_says_it_too(ruled):
    done = run_cli("predict", ruled.bundle, "--text", "Press release: quarterly figures", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["label"], answer["answered_by"]) == ("business", "lookup")
    assert answer["reasons"][0]["text"] == "matches 'press release*' -> business"
    assert "matches 'press release*'" in run_cli("predict", ruled.bundle, "--text", "press release 7").stdout


def test_data_that_repeats_is_looked_up_without_being_asked(news_rows, tmp_path):
    rows = news_rows + [row for row in news_rows[::10] for _ in range(4)]
    spec = write_spec(tmp_path, write_csv(tmp_path / "news.csv", ["text", "label"], rows))
    done = rung.build(spec, run=tmp_path / "run")
    assert models(done.report) == {"majority": "majority", "lookup-tfidf_linear": "lookup"}
    chosen = done.report["trials"][-1]["chosen"]
    assert chosen["known_texts"] > 10 and "rules" not in chosen
    model = rung.load(done.bundle)
    # Texts that certify are not known: their answers were never learned.
    answered = [a.answered_by for a in model.predict([text for text, _ in news_rows[::10]])]
    assert answered.count("lookup") == chosen["known_texts"]
    off = write_spec(tmp_path, tmp_path / "news.csv", extra="repeats: 0\n")
    assert "lookup" not in models(rung.build(off, run=tmp_path / "off").report).values()


def test_data_without_repeats_has_no_lookup(built):
    assert "lookup" not in models(built.report).values()


def test_wrong_labels_in_rules_are_all_said_with_their_lines(news_csv, tmp_path):
    rules = "rules:\n  - {contains: cup, answer: sport}\n  - {contains: film, answer: entertainment}\n"
    spec = write_spec(tmp_path, news_csv, extra=rules + "  - {equals: vote, answer: Politics}\n")
    done = run_cli("build", spec)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "product.yaml: 2 problems" in done.stderr
    assert (
        "line 8, rules.0.answer: no training row has the label 'sport'. Did you mean 'sports'?" in done.stderr
    )
    assert (
        "line 10, rules.2.answer: no training row has the label 'Politics'. Did you mean 'politics'?"
        in done.stderr
    )


@pytest.mark.parametrize(
    "rule,words",
    [
        ("{contains: cup, equals: cup final, answer: sports}",
         "rules.0: has equals 'cup final' and contains 'cup': give exactly one of equals, contains and matches, or write"),
        ("{answer: sports}", "rules.0: has no text to match: give exactly one of"),
        ("{matches: ' ** ', answer: sports}", "rules.0: it would match every text; give some text to match."),
        ("{matches: '＊　＊', answer: sports}", "rules.0: it would match every text"),
        ("{contains: '　', answer: sports}", "rules.0: it would match every text"),
        ("{contain: cup, answer: sports}", "rules.0.contain: is not a valid key. Did you mean 'contains'?"),
        ("{contains: cup}", "rules.0.answer: is missing."),
        ("{contains: 7, answer: sports}", "rules.0.contains: must be text, not 7. Put it in quotes."),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_is_said_with_line_value_and_fix(news_csv, tmp_path, rule, words):
    done = run_cli("build", write_spec(tmp_path, news_csv, extra=f"rules:\n  - {rule}\n"))
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert f"line 8, {words}" in done.stderr
