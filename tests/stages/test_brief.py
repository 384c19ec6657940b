"""A plan's facts: the bar from what an error costs, lights, drivers, duties; and they survive hostile data."""

import json

import pytest

from rung.building.plan_summary import Wishes, propose_bar
from rung.core.errors import RungError
from rung.core.prices import load_prices
from rung.core.priors import expected
from rung.core.regulation import detect
from rung.data.profile.summary import Agreement
from rung.pages.plan import render_plan
from rung.workflows.plan import plan
from support import run_cli, write_csv

EVIL = "<script>alert(1)</script>"


def bar(floor=0.3, agreement=None, metric="accuracy", **wishes):
    level, why = propose_bar(metric, floor, agreement, load_prices(), Wishes(**wishes))
    return level, [item["key"] for item in why]


def test_the_bar_follows_from_what_an_error_costs():
    # A row by hand costs 0.10 USD: errors at 2 USD may be one in twenty.
    assert bar(cost_of_error=2.0) == (0.95, ["floor", "cost", "no_agreement"])
    assert bar(cost_of_error=0.05)[0] == pytest.approx(0.44)
    assert bar() == (0.9, ["floor", "no_cost", "no_agreement"])


def test_the_bar_lies_above_the_floor_and_not_above_what_people_agree_on():
    assert bar(floor=0.95) == (0.96, ["floor", "no_cost", "raised", "no_agreement"])
    assert bar(agreement=Agreement("second", 100, 0.84, 0.8)) == (0.84, ["floor", "no_cost", "agreement"])
    assert bar(metric="macro_f1")[0] == 0.8


@pytest.mark.parametrize(
    "wishes,words",
    [
        ({"touches": ("helth",)}, "Did you mean 'health'?"),
        ({"driver": "dat"}, "Did you mean 'data'?"),
        ({"cost_of_error": -1.0}, "positive number"),
    ],
)
def test_wishes_that_make_no_sense_are_said_with_the_fix(wishes, words):
    with pytest.raises(RungError) as caught:
        Wishes(**wishes)
    assert words in caught.value.fix


def test_a_prior_lies_between_its_rows_and_above_the_floor():
    low, high = expected("text_classification", ("tfidf_linear",), 316, 0.2)
    few, many = (expected("text_classification", ("tfidf_linear",), n, 0.2) for n in (100, 1_000))
    assert few[0] < low < many[0] and few[1] < high < many[1]
    assert expected("text_classification", ("majority",), 50, 0.4) == (0.4, 0.4)
    # A variant of a family has figures of its own, and without them those of its family; what is yours has none.
    blend = expected("text_classification", ("blend",), 5_000, 0.5)
    assert expected("text_classification", ("blend-large", "blend"), 5_000, 0.5) > blend
    assert expected("text_classification", ("blend-other", "blend"), 5_000, 0.5) == blend
    assert expected("text_classification", ("mine", "bring_your_own"), 5_000, 0.5) is None
    assert expected("a_task_of_a_plugin", ("majority",), 50, 0.4) is None


def test_duties_are_seen_in_names_and_in_many_texts():
    assert detect(["text", "customer_email"], []) == {"personal": {"name": "customer_email"}}
    assert detect(["患者编号"], [])["health"] == {"name": "患者编号"}
    assert detect(["surface", "interface"], []) == {}
    texts = ["write to me at ann@example.org"] * 10 + ["nothing here"] * 10
    assert detect(["text"], texts) == {"personal": {"texts": 10, "of": 20}}
    assert detect(["text"], ["the patient was prescribed rest"] * 2 + ["no"] * 200) == {}


@pytest.fixture
def table(tmp_path):
    def write(rows, header=("text", "label")):
        return write_csv(tmp_path / "t.csv", header, rows)

    return write


def ticket(i):
    return f"ticket number {i} about {'ships and harbours' if i % 2 else 'trees and forests'}"


def test_readiness_counts_what_is_wrong(table):
    rows = [(ticket(i), "sea" if i % 2 else "land") for i in range(200)]
    rows += [rows[0]] * 30 + [(ticket(2), "sea")] * 5 + [("", "sea")] * 10 + [("no label here", "")] * 3
    found = plan(table(rows)).as_dict()
    lights = {light["key"]: light for light in found["readiness"]}
    assert lights["duplicates"]["light"] == "slow" and lights["duplicates"]["values"]["n"] == 30
    assert lights["contradictory"]["values"]["n"] == 5
    assert lights["missing"]["values"] == {"n": 13, "empty": 10, "unlabelled": 3, "unreadable": 0}
    assert lights["rows_per_class"]["light"] == "go" and found["driver"]["driver"] == "application"


def test_two_people_who_labelled_the_same_rows_are_found(table):
    rows = [
        (ticket(i), "sea" if i % 2 else "land", "sea" if i % 2 or i % 20 == 0 else "land", i)
        for i in range(200)
    ]
    found = plan(table(rows, ("text", "label", "second_person", "number"))).as_dict()
    item = next(item for item in found["bar"]["why"] if item["key"] == "agreement")
    assert item["values"]["share"] == "0.95" and item["values"]["kappa"] == "0.90"


def test_where_one_label_rules_the_bar_speaks_of_macro_f1(table):
    rows = [(ticket(i), "rare" if i % 20 == 0 else "usual") for i in range(400)]
    proposal = plan(table(rows))
    assert proposal.brief["bar"]["metric"] == "macro_f1" and "metric: macro_f1" in proposal.yaml()


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_whatever_the_data_holds_is_escaped(table, lang):
    rows = [(f"{EVIL} {ticket(i)}", EVIL if i % 2 else "[red]land[/red]") for i in range(100)]
    found = plan(table(rows, ("text", f"label {EVIL}"))).as_dict()
    html = render_plan(found, lang)
    assert "<script" not in html and "&lt;script&gt;" in html and json.dumps(found)


@pytest.mark.parametrize("lang,head", [("en", "Risks and regulation"), ("zh", "风险与合规")])
def test_the_command_writes_three_files_and_prints_plain_when_piped(table, tmp_path, lang, head):
    table([(f"[bold] {ticket(i)}", "sea" if i % 2 else "[red]") for i in range(100)])
    done = run_cli("plan", "t.csv", "--touches", "credit", "--lang", lang, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert head in done.stdout and "[red]" in done.stdout and "\x1b" not in done.stdout
    assert {"product.yaml", "plan.html", "plan.json"} <= {path.name for path in tmp_path.iterdir()}
    assert json.loads((tmp_path / "plan.json").read_text())["duties"][0]["kind"] == "credit"
    assert not done.stderr
