"""Recommendation as users begin it: ratings of films, to a server that answers histories of any length and takes feedback."""

import csv
import json
import shutil

import pytest
from fastapi.testclient import TestClient

import caches
import rung
from rung.core.spec.product import parse_product
from rung.core.spec.serve import ServeSpec
from rung.journal.writer import Journal
from rung.serving.http.api_keys import KeyStore
from rung.serving.http.app import create_app
from rung.serving.service import Service
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
bar: {metric: lift@10, at_least: 0.0}
budget: {effort: 1, threads: 1}
ladder: [popularity, item_neighbours]
"""


@pytest.fixture(scope="module")
def product(tmp_path_factory):
    """A product of 300 real users, built, and its bundle moved to another place."""
    base, data = tmp_path_factory.mktemp("films"), caches.example("films")
    shutil.copyfile(data / "films.csv", base / "films.csv")
    with (data / "ratings.csv").open(encoding="utf-8", newline="") as source:
        rows = [row for row in csv.reader(source) if row[0] == "user" or int(row[0]) <= 300]
    with (base / "ratings.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    (base / "product.yaml").write_text(SPEC)
    built = rung.build(base / "product.yaml")
    moved = tmp_path_factory.mktemp("moved") / "bundle"
    shutil.copytree(built.bundle, moved)
    return base, built, moved


@pytest.fixture
def server(product, tmp_path):
    _, _, moved = product
    spec = ServeSpec()
    journal = Journal(tmp_path, spec.inputs, spec.keep_days)
    service = Service(limits=spec, keys=KeyStore(tmp_path), journal=journal, folder=tmp_path)
    with TestClient(create_app([rung.load(moved)], uncertified=True, service=service)) as client:
        yield client
    journal.close()


def test_the_report_counts_users_and_compares_with_what_is_popular(product):
    _, built, _ = product
    report = built.report
    details = report["details"]["recommendation"]
    assert [row["length"] for row in details["by_length"]][:4] == [1, 5, 10, 20]
    assert {row["group"] for row in details["by_user_group"]} == {"light", "middle", "heavy"}
    assert report["data"]["settled"]["events_read"] > 20_000
    page = (built.folder / "report.html").read_text()
    assert "Lists by history and by user" in page and "what is popular" in page
    if report["certificate"]:
        assert report["certificate"]["of"] == "users" and report["certificate"]["exact"]


def test_a_moved_bundle_verifies(product):
    _, _, moved = product
    assert rung.load(moved).selftest() == []
    assert run_cli("verify", moved).returncode == 0


def test_histories_of_every_length_are_answered(product):
    _, _, moved = product
    model = rung.load(moved)
    newcomer, one, unknown, long = model.predict(
        [
            {"history": []},
            {"history": ["50"]},
            {"history": ["no such film", "50"]},
            {"history": ["50"] * 100_000},
        ]
    )
    assert len(newcomer.value) == 10 and newcomer.answered_by == "popularity"
    assert "50" not in one.value and one.value == long.value == unknown.value
    assert unknown.extra["unknown"] == ["no such film"]
    said = next(model.respond([{"history": ["50", "no such film"], "k": 3, "exclude": [one.value[0]]}]))
    assert (
        len(said["items"]) == 3
        and said["items"][0]["item"] == one.value[1]
        and said["unknown"] == ["no such film"]
    )
    assert said["items"][0]["because"][0]["title"] == "Star Wars"
    assert {row["category"] for row in said["portrait"]["interests"]} >= {"Sci-Fi", "War"}


def test_wishes_change_the_list(product):
    _, _, moved = product
    model = rung.load(moved)

    def items(**context):
        return next(model.respond([{"history": ["50", "172", "181"], "context": context}]))["items"]

    plain = [item["item"] for item in items()]
    assert [item["item"] for item in items(block=[plain[0]])][:3] == plain[1:4]
    assert items(pin=[plain[5]])[0]["item"] == plain[5]
    assert all("Comedy" in item["categories"] for item in items(categories=["Comedy"]))
    assert not any("Drama" in item["categories"] for item in items(without=["Drama"]))
    everything = {"history": ["50", "172"], "k": 1000, "context": {"seen": "keep"}}
    names = [item["item"] for item in next(model.respond([everything]))["items"]]
    assert {"50", "172"} <= set(names)
    few = items(most_per_category=2)
    for name in {category for item in few for category in item["categories"]}:
        assert sum(name in item["categories"] for item in few) <= 2
    assert [item["item"] for item in items(diversity=0.8)] != plain


@pytest.mark.parametrize(
    "body,said",
    [
        ({"history": "50"}, "must be a list"),
        ({"history": "a film"}, "not JSON"),
        ({"history": {"item": "50"}}, "must be a list"),
        ({"history": [{"film": "50"}]}, "unknown key 'film'"),
        ({"history": [["50", "soon"]]}, "neither ISO 8601"),
        ({"history": [["50", 1, "five"]]}, "weight that is no number"),
        ({"history": [True]}, "event 0"),
        ({"history": ["50"] * 100_001}, "at most 100,000"),
        ({"history": [], "k": 0}, "not from 1"),
        ({"history": [], "k": 2.5}, "whole number"),
        ({"history": [], "exclude": "50"}, "'exclude'"),
        ({"history": [], "context": {"colour": "red"}}, "unknown key 'colour'"),
        ({"history": [], "context": {"diversity": 3}}, "from 0 to 1"),
        ({}, "'history' is missing"),
    ],
)
def test_bad_requests_are_said(server, body, said):
    reply = server.post("/v1/models/films/predict", json={"inputs": body})
    text = json.dumps(reply.json(), ensure_ascii=False)
    assert said in text and (reply.status_code in {400, 422} or "error" in reply.json()["predictions"][0])


def test_ids_as_numbers_are_the_same_texts(server):
    one, other, padded = (
        server.post("/v1/models/films/predict", json={"inputs": {"history": [item]}}).json()["predictions"][0]
        for item in (50, "50", "050")
    )
    assert one["items"] == other["items"] and padded["unknown"] == ["050"] and padded["items"] != one["items"]


def test_what_was_taken_comes_back_as_feedback(server):
    found = server.post("/v1/models/films/predict", json={"inputs": {"history": ["50", "172"]}}).json()[
        "predictions"
    ][0]
    taken = [found["items"][0]["item"]]
    reply = server.post("/v1/feedback", json={"prediction": found["id"], "answer": taken})
    assert reply.status_code in {200, 201, 202}, reply.json()


def test_the_description_of_the_api_knows_what_may_be_left_out(server):
    described = server.get("/v1/models/films").json()
    assert [item["kind"] for item in described["inputs"]] == ["history", "count", "item_list", "wishes"]
    api = server.get("/openapi.json").json()
    assert json.dumps(api).count("maxItems") > 0


def test_the_command_line_answers_a_file(product, tmp_path):
    _, _, moved = product
    asked = tmp_path / "people.jsonl"
    asked.write_text('{"history": ["50", "172"]}\n{"history": []}\n{"history": "x"}\n')
    out = tmp_path / "lists.jsonl"
    done = run_cli("predict", moved, "-i", asked, "-o", out)
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(lines[0]["items"]) == len(lines[1]["items"]) == 10 and "error" in lines[2], done


def test_a_table_of_events_is_recognised(product, tmp_path):
    base, _, _ = product
    shutil.copyfile(base / "ratings.csv", tmp_path / "ratings.csv")
    done = run_cli("plan", "ratings.csv", "-o", "product.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    spec = (tmp_path / "product.yaml").read_text()
    assert "task: recommendation" in spec and "metric: lift@10" in spec and "at_least: 0.01" in spec
    found = parse_product(spec)
    assert (found.recommend.user, found.recommend.item, found.recommend.time, found.recommend.weight) == (
        "user", "film", "time", "rating",
    )  # fmt: skip
    assert found.data.group == "user"
