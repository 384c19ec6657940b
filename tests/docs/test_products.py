"""The pages of sentiment, intent and rules are followed literally: fetched, built, asked, served, as they stand."""

import json
import re
import shlex
import shutil

import pytest
from fastapi.testclient import TestClient

import rung
from rung.core.errors import SpecError
from rung.core.spec.product import load_product, parse_product
from rung.modalities.text.rules import Rule, Rules
from rung.serving.http.app import create_app
from support import ROOT, run_cli, run_python

HOWTO = ROOT / "docs" / "howto"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.S)
INTENT = [("intent", "intent.md", "intent-001"), ("intent", "intent.zh.md", "intent-zh-001")]
SLOW = [("sentiment", "sentiment.md", "sentiment-001"), ("sentiment", "sentiment.zh.md", "sentiment-zh-001")]
PRODUCTS = [*INTENT, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)]


def blocks(page):
    return BLOCK.findall((HOWTO / page).read_text(encoding="utf-8"))


def shell_lines(block):
    lines = (line.strip() for line in block.replace("\\\n", " ").splitlines())
    return [line for line in lines if line]


@pytest.fixture(scope="module")
def follow(example_data, wordllama, minilm, tmp_path_factory):
    """Return a function that goes through a page in a copy of its example: {commands so far: what they printed}.

    The pages fetch these weights: here they are there already.
    """
    found = {}

    def run(example, page):
        if page in found:
            return found[page]
        folder = tmp_path_factory.mktemp("followed")
        example_data(example)
        ignored = shutil.ignore_patterns("runs", "certificate.lock")
        shutil.copytree(ROOT / "examples" / example, folder / "examples" / example, ignore=ignored)
        printed = []
        for language, block in blocks(page):
            if language != "bash":
                continue
            said = ""
            for line in shell_lines(block):
                if line.startswith("rung ") and not line.startswith("rung serve"):
                    done = run_cli(*shlex.split(line)[1:], cwd=folder, env={"COLUMNS": "140"})
                    assert done.returncode == 0, done.stderr
                    said += done.stdout
            printed.append(said)
        found[page] = folder, printed
        return found[page]

    return run


@pytest.mark.parametrize("example,page,run", PRODUCTS)
def test_outputs_are_those_of_the_commands(follow, example, page, run):
    """Every line of an output begins with the same word as one that was printed, and each rung ends as said."""
    _, printed = follow(example, page)
    checked = 0
    turn = -1
    for language, block in blocks(page):
        turn += language == "bash"
        if language != "text" or not printed[turn]:
            continue
        ours = [line.split() for line in printed[turn].splitlines() if line.strip()]
        for line in filter(str.strip, block.splitlines()):
            words = line.split()
            likely = [other for other in ours if other[0] == words[0]]
            assert likely, line
            if re.match(r"(majority|lookup|static|tfidf|frozen|blend)", words[0]):
                assert any(other[-1] == words[-1] for other in likely), line
                assert float(words[1]) == pytest.approx(float(likely[0][1]), abs=0.02)
        checked += 1
        if checked == 2:  # What follows is the output of a bar that the page asks the reader to raise.
            break
    assert checked == 2


@pytest.mark.parametrize("example,page,run", PRODUCTS)
def test_python_blocks_run(follow, example, page, run):
    folder, _ = follow(example, page)
    found = [block for language, block in blocks(page) if language == "python"]
    assert found
    for block in found:
        done = run_python(block, folder)
        assert done.returncode == 0 and done.stdout, done.stderr


@pytest.mark.parametrize("example,page,run", PRODUCTS)
def test_the_request_is_answered_as_shown(follow, example, page, run):
    folder, _ = follow(example, page)
    served = rung.load(folder / "examples" / example / "runs" / run / "bundle")
    (line,) = [
        x for lang, b in blocks(page) if lang == "bash" for x in shell_lines(b) if x.startswith("curl")
    ]
    words = shlex.split(line)
    path = words[2].removeprefix("localhost:8000")
    reply = TestClient(create_app([served])).post(path, json=json.loads(words[words.index("-d") + 1])).json()
    (shown,) = [json.loads(block) for language, block in blocks(page) if language == "json"]
    assert len(reply["predictions"]) == len(shown["predictions"])
    for answer, said in zip(reply["predictions"], shown["predictions"], strict=True):
        assert said.items() <= answer.items()


@pytest.mark.parametrize(
    "page,file",
    [("sentiment.md", "product.yaml"), ("sentiment.zh.md", "product.zh.yaml"),
     ("intent.md", "product.yaml"), ("intent.zh.md", "product.zh.yaml")],
)  # fmt: skip
def test_the_product_shown_is_the_file(page, file):
    path = ROOT / "examples" / page.split(".")[0] / file
    assert ("yaml", path.read_text(encoding="utf-8")) in blocks(page)
    assert load_product(path)[0].task == "text_classification"


SPEC = "task: text_classification\ndata: {path: x.csv}\nbar: {metric: accuracy, at_least: 0.9}\n"


@pytest.mark.parametrize("page,example", [("rules.md", "intent.md"), ("rules.zh.md", "intent.zh.md")])
def test_python_of_the_rules_page_prints_what_it_shows(follow, page, example):
    folder, _ = follow("intent", example)
    found = blocks(page)
    for (language, code), (_, shown) in zip(found, found[1:], strict=False):
        if language == "python":
            done = run_python(code, folder)
            assert done.stdout == shown, done.stderr


@pytest.mark.parametrize("page", ["rules.md", "rules.zh.md"])
def test_the_table_of_the_rules_page_says_what_rules_do(page):
    text = (HOWTO / page).read_text(encoding="utf-8")
    (block,) = [block for language, block in blocks(page) if language == "yaml"]
    assert len(parse_product(SPEC + block).rules) == 4
    rows = re.findall(r"^\| `(\w+): ([^`]+)` \| (.*?) \| (.*?) \|$", text, re.M)
    assert len(rows) == 4
    quoted = re.compile(r"[\"“]([^\"”]+)[\"”]")
    for kind, pattern, yes, no in rows:
        rules = Rules([Rule(kind, pattern, "yes")])
        from rung.modalities.text.ngrams import normalize_text

        assert all(rules.first_match(normalize_text(example)) == 0 for example in quoted.findall(yes)), (
            pattern,
            yes,
        )
        assert quoted.findall(no) and all(
            rules.first_match(normalize_text(x)) is None for x in quoted.findall(no)
        ), (
            pattern,
            no,
        )


def test_the_mistake_the_rules_page_shows():
    rules = "rules:\n  - {equals: hello, contains: hi, answer: greet}\n"
    with pytest.raises(SpecError) as caught:
        parse_product(SPEC + rules)
    said = str(caught.value).splitlines()[1].split(": ", 1)[1]
    assert said in (HOWTO / "rules.md").read_text(encoding="utf-8")
