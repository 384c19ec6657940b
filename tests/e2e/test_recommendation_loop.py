"""A recommender learns from what it serves: real people of MovieLens are shown lists, click what they went on to rate, and a challenger comes of it."""

import csv
import json
import math
import shutil
from collections import defaultdict

import pytest
from fastapi.testclient import TestClient

import caches
import rung
from rung.core.errors import RungError
from rung.core.spec.product import load_product
from rung.journal.reader import JournalReader
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.promotion import current_champion, rollback
from rung.serving.service import Service
from rung.workflows.improve import improve
from rung.workflows.monitor import check_drift
from rung.workflows.replay import replay
from support import run_cli

SPEC = """name: films
task: recommendation
data: {path: ratings.csv}
recommend:
  user: user
  item: film
  time: time
  weight: rating
  items: {path: films.csv, item: film, title: title, categories: genres}
bar: {metric: "lift@10", at_least: -0.4}
budget: {effort: 0, threads: 1}
ladder: [popularity, item_neighbours]
serve: {explore: 0.3, explore_among: 15, inputs: plain}
improve: {margin: 0.25, audit_rows: 40, audit_share: 0.5, min_feedback: 20}
"""
BUILT, SERVED = 150, 300


@pytest.fixture(scope="module")
def people():
    """Return user -> (film, time) of the first 300 users, in order."""
    found = defaultdict(list)
    with (caches.example("films") / "ratings.csv").open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            if int(row["user"]) <= SERVED:
                found[int(row["user"])].append((float(row["time"]), row["film"]))
    return {user: sorted(events) for user, events in found.items()}


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A product built on the first 150 users."""
    base, data = tmp_path_factory.mktemp("films"), caches.example("films")
    shutil.copyfile(data / "films.csv", base / "films.csv")
    with (data / "ratings.csv").open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.reader(source) if row[0] == "user" or int(row[0]) <= BUILT]
    with (base / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (base / "product.yaml").write_text(SPEC)
    built = rung.build(base / "product.yaml")
    assert built.cleared, built.report["trials"]
    return base, built


@pytest.fixture(scope="module")
def served(product, people):
    """The product after the other 150 users asked it once: half of what they did is the history, clicks are on what came later."""
    base, built = product
    spec, _ = load_product(base / "product.yaml")
    folder = base / spec.serve.folder
    journal = Journal(folder, spec.serve.inputs, spec.serve.keep_days)
    service = Service(limits=spec.serve, keys=KeyStore(folder), journal=journal, folder=folder)
    shown = {}
    with TestClient(create_app([rung.load(built.bundle)], service=service)) as client:
        for user in range(BUILT + 1, SERVED + 1):
            events = people[user]
            half = len(events) // 2
            history = [{"item": film, "time": time} for time, film in events[:half]]
            asked = {"inputs": {"history": history}, "subject": f"u{user}"}
            answer = client.post("/v1/models/films/predict", json=asked).json()["predictions"][0]
            later = [film for _, film in events[half:]]
            shown[user] = (answer, later)
            for item in answer["items"]:
                if item["item"] in later:
                    said = {"prediction": answer["id"], "item": item["item"]}
                    assert client.post("/v1/feedback", json=said).status_code == 201
            said = {"prediction": answer["id"], "answer": later, "source": "review"}
            assert client.post("/v1/feedback", json=said).status_code == 201
        # A person of the data comes back, and someone without a name asks three times.
        client.post("/v1/models/films/predict", json={"inputs": {"history": ["50"]}, "subject": "7"})
        for _ in range(3):
            client.post("/v1/models/films/predict", json={"inputs": {"history": ["50"]}})
    journal.close()
    return base, shown


def test_a_share_of_the_lists_is_drawn_and_says_so(served):
    _, shown = served
    answers = [answer for answer, _ in shown.values()]
    drawn = sum(answer["exploration"]["explored"] for answer in answers)
    assert abs(drawn - 0.3 * len(answers)) < 4 * math.sqrt(0.21 * len(answers))
    for answer in answers:
        said = answer["exploration"]
        assert (said["share"], said["among"], len(said["draw"])) == (0.3, 15, 16)
        propensities = {item["propensity"] for item in answer["items"]}
        assert propensities <= {0.02, 0.72} and len(answer["items"]) == 10
        assert said["explored"] or propensities == {0.72}


def test_the_journal_keeps_lists_propensities_and_clicks(served):
    base, shown = served
    with JournalReader.from_folder(base / "service") as journal:
        kept = {row.id: row for portion in journal.predictions("films") for row in portion}
    for answer, _ in shown.values():
        row = kept[answer["id"]]
        assert [(i["item"], i["propensity"]) for i in row.output["items"]] == [
            (i["item"], i["propensity"]) for i in answer["items"]
        ]
        assert "k" not in (row.input or {}) or row.input["k"] is None


def test_feedback_by_item_must_name_a_shown_item(served):
    base, shown = served
    spec, _ = load_product(base / "product.yaml")
    journal = Journal(base / "service", spec.serve.inputs, spec.serve.keep_days)
    service = Service(limits=spec.serve, keys=KeyStore(base / "service"), journal=journal)
    answer = next(answer for answer, _ in shown.values())
    bundle = current_champion(base / "product.yaml", base / "service", base, "films")
    with TestClient(create_app([rung.load(bundle)], service=service)) as client:
        wrong = {"prediction": answer["id"], "item": "no such film"}
        said = client.post("/v1/feedback", json=wrong)
        assert said.status_code == 422 and "was not in this list" in said.json()["problem"]
        both = {"prediction": answer["id"], "item": "50", "answer": ["50"]}
        assert "both answer and item" in client.post("/v1/feedback", json=both).json()["problem"]
        neither = client.post("/v1/feedback", json={"prediction": answer["id"]})
        assert neither.status_code == 422


def test_exploring_without_a_journal_is_refused(product):
    base, built = product
    spec, _ = load_product(base / "product.yaml")
    with pytest.raises(RungError, match="propensities would be lost"):
        create_app([rung.load(built.bundle)], service=Service(limits=spec.serve))


def test_a_replay_of_the_champion_finds_what_it_earned(served):
    base, shown = served
    bundle = current_champion(base / "product.yaml", base / "service", base, "films")
    found = replay(bundle, base / "product.yaml")
    came = [sum(i["item"] in later for i in answer["items"]) for answer, later in shown.values()]
    assert found.estimated.requests >= len(came)
    assert found.served == pytest.approx(sum(came) / found.estimated.requests, abs=1e-6)
    ips = found.estimated.ips
    assert ips.exact and ips.low <= ips.value <= ips.high and ips.low < found.served < ips.high
    assert found.estimated.supported > 0.8 and not found.estimated.doubtful
    assert found.gained.low < 0.0 < found.gained.high
    printed = run_cli("replay", "product.yaml", cwd=base)
    assert printed.returncode == 0, printed.stderr
    assert "clicks a list (IPS)" in printed.stdout and "Assumed: a click depends" in printed.stdout
    as_json = json.loads(run_cli("replay", bundle, "product.yaml", "--json", cwd=base).stdout)
    assert as_json["estimate"]["ips"]["exact"] is True and as_json["gain"]["exact"] is True


def test_lists_of_another_system_are_replayed(served, tmp_path):
    base, shown = served
    log = tmp_path / "shown.jsonl"
    lines = [
        {
            "history": ["50"],
            "items": [{"item": i["item"], "propensity": i["propensity"]} for i in answer["items"]],
            "clicked": [i["item"] for i in answer["items"] if i["item"] in later],
        }
        for answer, later in shown.values()
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = run_cli("replay", "product.yaml", "--log", log, "--json", cwd=base)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["estimate"]["requests"] == len(lines) and found["left_out"] == {}


def test_a_replay_needs_propensities(product, tmp_path):
    base, built = product
    spec = SPEC.replace("explore: 0.3, explore_among: 15, ", "").replace("name: films", "name: films\n")
    shutil.copytree(base, tmp_path / "plain")
    (tmp_path / "plain" / "product.yaml").write_text(spec)
    shutil.rmtree(tmp_path / "plain" / "service", ignore_errors=True)
    folder = tmp_path / "plain" / "service"
    journal = Journal(folder, "plain", 90)
    loaded, _ = load_product(tmp_path / "plain" / "product.yaml")
    service = Service(limits=loaded.serve, keys=KeyStore(folder), journal=journal, folder=folder)
    with TestClient(create_app([rung.load(built.bundle)], service=service)) as client:
        body = client.post("/v1/models/films/predict", json={"inputs": {"history": ["50"]}}).json()
        assert "exploration" not in body["predictions"][0]
    journal.close()
    with pytest.raises(RungError, match="no list in the journal has propensities"):
        replay(built.bundle, tmp_path / "plain" / "product.yaml")


def test_drift_is_checked_on_histories_and_lists(served):
    base, _ = served
    report = check_drift(base / "product.yaml", settled=0.0).report
    assert {test["key"].split(":")[0] for test in report["tests"]} and report["period"]["rows"] >= 150


def test_an_improvement_learns_over_users_and_can_be_rolled_back(served):
    base, _ = served
    dry = improve(base / "product.yaml", dry=True)
    assert dry.facts["nameless"] == 3 and dry.facts["accepted"] > 40, dry
    assert dry.facts["audit"]["rounds"] >= 1, dry.facts
    before = current_champion(base / "product.yaml", base / "service", base, "films")
    found = improve(base / "product.yaml", who="ann")
    assert found.build is not None
    report = found.build.report
    assert report["certificate"] is None or report["certificate"]["of"] == "users"
    assert found.facts["replay"]["estimate"]["requests"] >= 150
    # It learned from these clicks: no interval of what it would have earned on them holds.
    assert found.facts["replay"]["learned"] and not found.facts["replay"]["estimate"]["ips"]["exact"]
    assert found.facts["replay"]["gain"]["exact"] is False
    assert found.verdict == "promoted", (found.reasons, report["trials"])
    assert {check.kind for check in found.checks} == {"fresh", "reused"}
    lines = (found.build.folder.parent / "provenance.jsonl").read_text().splitlines()
    assert sum(json.loads(line)["aside"] == "" for line in lines) > 20
    assert report["certificate"]["of"] == "users" and report["certificate"]["exact"]
    now = current_champion(base / "product.yaml", base / "service", base, "films")
    assert now != before
    told = run_cli("replay", now, "product.yaml", cwd=base)
    assert told.returncode == 0 and "learned from these very clicks" in told.stdout, told.stderr
    rollback(base / "service", "films", "ann", "complaints")
    assert current_champion(base / "product.yaml", base / "service", base, "films") == before


def test_people_do_not_review_what_others_will_do(served):
    base, _ = served
    done = run_cli("review", "product.yaml", "--export", "rows.csv", cwd=base)
    assert done.returncode == 2 and "no reviewer can tell" in done.stderr
