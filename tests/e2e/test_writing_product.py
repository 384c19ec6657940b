"""A product that writes: planned, built from pairs and from a corpus, refused where it does not beat the nearest example, served and streamed."""

import csv
import http.client
import json
import threading

import pytest

import rung
from rung.core.errors import RungError
from rung.pages.report import render
from rung.serving.http.api_keys import KeyStore
from served_products import ask, served
from support import run_cli, write_csv

SPEC = """name: writer
task: text_generation
data: {{path: rows.csv, {data}}}
bar: {{metric: {metric}, at_least: {bar}}}
ladder: {ladder}
writing: {{max_chars: {most}, banned: [stupid]}}
budget: {{effort: 0, threads: 1}}
"""


def product(folder, data="input: prompt", metric="conditions_met", bar=0.7, most=60, ladder="[ngram_writer]"):
    spec = folder / "product.yaml"
    spec.write_text(
        SPEC.format(data=data, metric=metric, bar=bar, most=most, ladder=ladder), encoding="utf-8"
    )
    return spec


@pytest.fixture(scope="module")
def messages(example_data):
    with (example_data("replies") / "messages.csv").open(encoding="utf-8", newline="") as file:
        return [(row["prompt"], row["text"]) for row in csv.DictReader(file)][:120]


@pytest.fixture(scope="module")
def built(messages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("writer")
    write_csv(folder / "rows.csv", ["prompt", "text"], messages)
    return product(folder), rung.build(product(folder), all_rungs=True)


def test_conditions_are_certified_and_the_rival_is_measured(built):
    _, found = built
    assert found.cleared and found.report["certificate"]["conditions"][0]["exact"]
    by_name = {trial["model"]: trial for trial in found.report["trials"]}
    assert list(by_name)[:2] == ["fixed_text", "nearest_example"]
    own, rival = by_name["ngram_writer"], by_name["nearest_example"]
    if own["status"] == "failed":
        assert "does not beat nearest_example: chrf" in own["problem"]
    else:
        assert own["scores"]["chrf"] > rival["scores"]["chrf"]
    # Conditions alone are kept by one text for all; the advice says what to ask for besides.
    assert {item["key"] for item in found.report["advice_items"]} & {"floor_written"}
    steps = found.report["details"]["writing"]["steps"]
    assert [item["step"] for item in steps] == ["banned_words", "repetition", "personal_data", "length"]
    assert all(item["met_after"] >= item["met_before"] for item in steps)
    for lang, words in (("en", "Steps after decoding"), ("zh", "解码后的处理步骤")):
        page = render(found.report, lang)
        assert words in page and "rows per label" not in page and "各标签的训练行数" not in page
    assert found.report["data"]["labels"] == {}
    assert run_cli("verify", found.bundle).returncode == 0


def test_whole_and_streamed_answers_are_the_same_and_marked(built):
    spec, found = built
    loaded = rung.load(found.bundle)
    (alone,) = loaded.predict(["What is AI?"])
    assert alone.value and len(alone.value) <= 60
    row = {"prompt": "What is AI?", "options": {"max_chars": 40, "seed": 2}}
    with served(spec) as (address, _):
        key = KeyStore(spec.parent / "service").create("shop", "predict")[1]
        (whole,) = ask(address, "/v1/models/writer/predict", {"inputs": [row]}, key)["predictions"]
        assert len(whole["text"]) <= 40 and isinstance(whole["ai_generated"], bool) and whole["broken"] == []
        host, port = address.removeprefix("http://").split(":")
        events = streamed(host, int(port), key, row)
        pieces = [data["text"] for name, data in events if name == "piece"]
        assert "".join(pieces) == whole["text"] == events[-1][1]["predictions"][0]["text"]
        wrong = {"inputs": [{**row, "options": {"temperature": 9}}]}
        (refused,) = ask(address, "/v1/models/writer/predict", wrong, key)["predictions"]
        assert "temperature" in refused["error"]
        many = [threading.Thread(target=streamed, args=(host, int(port), key, row)) for _ in range(20)]
        for thread in many:
            thread.start()
        for thread in many:
            thread.join()
        assert ask(address, "/healthz")["status"] == "ok"


def test_two_bundles_write_pairs_for_people_to_choose_between(built, messages, tmp_path):
    spec, found = built
    write_csv(tmp_path / "rows.csv", ["prompt", "text"], messages)
    other = rung.build(product(tmp_path, bar=0.01, ladder="[nearest_example]"), all_rungs=True)
    write_csv(
        tmp_path / "new.csv",
        ["prompt", "other"],
        [("What is AI?", "x"), ("Do you like tea?", "y"), ("", "z")],
    )
    done = run_cli("compare", "write", found.bundle, other.bundle, "new.csv", "-o", "pairs", cwd=tmp_path)
    assert done.returncode == 0 and "2 pairs of texts" in done.stdout, done.stderr
    shown = json.loads(run_cli("compare", "show", "pairs", "--json", cwd=tmp_path).stdout)["people"]
    assert shown["prompts"] == 2 and all("writer" in name for name in shown["names"])
    again = run_cli("compare", "write", found.bundle, other.bundle, "new.csv", "-o", "pairs", cwd=tmp_path)
    assert again.returncode == 2 and "pairs already" in again.stderr


def streamed(host, port, key, row):
    """Return the events of a stream as (name, data)."""
    connection = http.client.HTTPConnection(host, port, timeout=60)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    connection.request("POST", "/v1/models/writer/stream", json.dumps({"inputs": [row]}), headers)
    text = connection.getresponse().read().decode()
    connection.close()
    parts = [event.split("\n", 1) for event in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in parts]


def test_a_plan_recognises_prompts_and_texts(messages, tmp_path):
    write_csv(tmp_path / "rows.csv", ["question", "answer"], list(dict(messages).items()))
    done = run_cli("plan", "rows.csv", "-o", "plan.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    plan = (tmp_path / "plan.yaml").read_text("utf-8")
    assert "task: text_generation" in plan and "question" in plan and "target: answer" in plan


def test_a_corpus_is_one_column(messages, tmp_path):
    documents = [" ".join(text for _, text in messages[i : i + 3]) for i in range(0, 120, 3)]
    write_csv(tmp_path / "rows.csv", ["text"], [(text,) for text in [*documents, "word", ""]])
    found = rung.build(
        product(tmp_path, "corpus: text", "condition:max_chars", 0.5, ladder="[nearest_example]")
    )
    assert found.cleared and found.report["data"]["settled"]["documents_too_short"] >= 1


@pytest.mark.parametrize(
    "rows,problem",
    [([], "no row"), ([("one", "only text")], "too few|needed"), ([(f"q {i}", "same") for i in range(60)], "same text")],
)  # fmt: skip
def test_too_little_to_write_from_is_said(rows, problem, tmp_path):
    write_csv(tmp_path / "rows.csv", ["prompt", "text"], rows)
    with pytest.raises(RungError, match=problem):
        rung.build(product(tmp_path))


@pytest.mark.parametrize(
    "old,new,problem",
    [
        ("metric: conditions_met", "metric: condition:wanted", "asks for no"),
        ("metric: conditions_met", "metric: bleu", "has no metric"),
        ("task: text_generation", "task: text_classification", "does not use it"),
        ("max_chars: 60", "min_chars: 500, max_chars: 60", "no text is both"),
    ],
)
def test_mistakes_in_the_spec_are_named(old, new, problem, messages, tmp_path):
    write_csv(tmp_path / "rows.csv", ["prompt", "text"], messages[:60])
    spec = product(tmp_path)
    spec.write_text(spec.read_text("utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(RungError, match=problem):
        rung.build(spec)
