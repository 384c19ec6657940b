"""Answers given again: equal rows always, near ones by choice, and never those that another word turns around."""

import random
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient

import rung
from llm_server import by_keywords, llm_server
from rung.core.spec.serve import ServeSpec
from rung.core.types import Field, Prediction, Schema
from rung.journal.writer import Journal
from rung.modalities.text.content_words import content_words
from rung.serving.answer_cache import AnswerCache, cache_for
from rung.serving.http.app import create_app
from rung.serving.service import Service
from support import write_csv

NEAR = ("text",)
ENGLISH = [
    "{name} wants {number} licences for the office", "The parcel of {name} is {number} days late", "Cancel order {number} of {name}",
    "{name} was charged {number} dollars twice", "I can reach {name} at extension {number}", "Please move {name} to plan {number}",
    "The refund of {number} euros to {name} has arrived", "{name} has paid invoice {number}", "Room {number} is booked for {name}",
    "The update to version {number} works for {name}",
]  # fmt: skip
CHINESE = [
    "{name}要为办公室购买{number}个许可证", "{name}的包裹晚到了{number}天", "请取消{name}的第{number}号订单", "{name}被重复扣款{number}元",
    "可以拨分机{number}找到{name}", "请把{name}换到套餐{number}", "给{name}的{number}元退款已经到账", "{name}已经支付第{number}号发票",
    "{number}号房间是为{name}预订的", "{name}升级到{number}版后可以使用",
]  # fmt: skip
NEGATED = [
    ("wants", "does not want"), ("is", "isn't"), ("Cancel", "Do not cancel"), ("was", "was never"), ("can", "can't"), ("Please move", "Please never move"),
    ("has", "has not"), ("works", "no longer works"), ("要为", "不要为"), ("晚到了", "没有晚到"), ("取消", "不要取消"), ("被重复", "没有被重复"),
    ("可以", "不可以"), ("换到", "别换到"), ("已经", "尚未"), ("是为", "不是为"),
]  # fmt: skip
NAMES = [
    "Anna Lee",
    "Anne Lee",
    "May",
    "Will",
    "US Bank",
    "us bank",
    "Müller",
    "Muller",
    "王芳",
    "王方",
    "李娜",
    "李那",
    "张三",
    "A",
    "The Hague",
    "the hague",
]
NUMBERS = [
    "1",
    "11",
    "2.5",
    "25",
    "2,5",
    "1,000",
    "1.000",
    "1000",
    "-5",
    "5",
    "½",
    "12",
    "m2",
    "m²",
    "3rd",
    "3",
    "八",
    "九",
]


def swaps(count=500):
    """Pairs of texts that ask different things, one negation, number or name apart; half of them Chinese."""
    draw, found = random.Random(0), []
    while len(found) < count:
        pattern = draw.choice((ENGLISH, CHINESE)[len(found) % 2])
        name, number = draw.choice(NAMES), draw.choice(NUMBERS)
        text = pattern.format(name=name, number=number)
        kind = ("negation", "number", "name")[len(found) // 2 % 3]
        if kind == "number":
            other = pattern.format(name=name, number=draw.choice([n for n in NUMBERS if n != number]))
        elif kind == "name":
            other = pattern.format(name=draw.choice([n for n in NAMES if n != name]), number=number)
        else:
            able = [pair for pair in NEGATED if pair[0] in pattern]
            plain, negated = draw.choice(able) if able else ("", "")
            other = pattern.replace(plain, negated, 1).format(name=name, number=number)
        if other != text:
            found.append((kind, text, other))
    return found


def counting(asked):
    def ask(rows):
        asked.extend(row["text"] for row in rows)
        return [Prediction(f"answer to {row['text']}", 0.9, cost=0.01) for row in rows]

    return ask


def test_none_of_500_swaps_of_negation_number_and_name_is_answered_by_its_opposite():
    pairs = swaps()
    assert len(pairs) == 500 and len({kind for kind, *_ in pairs}) == 3
    assert sum(any("\u4e00" <= c <= "\u9fff" for c in text.replace("王", "")) for _, text, _ in pairs) > 200
    hits = []
    for kind, text, other in pairs:
        asked: list[str] = []
        cache = AnswerCache(100, NEAR)
        cache.answer([{"text": text}], counting(asked))
        (answer,) = cache.answer([{"text": other}], counting(asked))
        if asked != [text, other] or answer.value != f"answer to {other}":
            hits.append((kind, text, other))
    assert not hits, hits[:5]


@pytest.mark.parametrize("pattern", [*ENGLISH, *CHINESE])
def test_no_two_names_or_numbers_of_a_sentence_share_an_answer(pattern):
    texts = [pattern.format(name=name, number="7") for name in NAMES]
    texts += [pattern.format(name="Bob", number=number) for number in NUMBERS]
    assert len({content_words(text) for text in texts}) == len(texts)


@pytest.mark.parametrize(
    "text,other",
    [
        ("I forgot my password", "Hi, I forgot my password."),
        ("where is my parcel?", "Where is the parcel?"),
        ("The app crashes", "Hello! Please: the app crashes, thanks"),
        ("我的包裹还没有到。", "您好，我的包裹还没有到"),
        ("请问怎样重置密码", "怎样 重置密码，谢谢"),
    ],
)
def test_texts_that_differ_in_words_without_content_share_an_answer_by_choice(text, other):
    asked: list[str] = []
    for near, count in (((), 2), (NEAR, 1)):
        asked.clear()
        cache = AnswerCache(10, near)
        cache.answer([{"text": text}], counting(asked))
        (answer,) = cache.answer([{"text": other}], counting(asked))
        expected = 2 if "my" in text and "my" not in other else count
        assert len(asked) == expected
        assert (answer.cost == 0.0) == (expected == 1)


def test_words_that_matter_stay():
    assert content_words("You shipped it.") != content_words("You shipped it?")
    assert content_words("dog bites man") != content_words("man bites dog")
    assert content_words("Move me to plan A") != content_words("Move me to plan")
    assert content_words("我请假三天") != content_words("我假三天")
    assert content_words("1.5 kg") != content_words("15 kg") and content_words("no, stop") == "no stop"
    assert content_words("") == content_words(" . ") == ""


def test_equal_rows_are_asked_once_and_the_oldest_answers_go():
    asked: list[str] = []
    cache = AnswerCache(2)
    rows = [{"text": text} for text in ("a", "b", "a")]
    answers = cache.answer(rows, counting(asked))
    assert asked == ["a", "b"] and [a.cost for a in answers] == [0.01, 0.01, 0.0]
    cache.answer([{"text": "c"}], counting(asked))
    assert len(cache) == 2
    cache.answer([{"text": "a"}, {"text": "c"}], counting(asked))
    assert asked == ["a", "b", "c", "a"], "the answer that was not used for longest went"
    assert "a" not in str(vars(cache)["_answers"].keys()).split("'")


def test_failed_answers_are_asked_again():
    cache, asked = AnswerCache(10), []

    def fail(rows):
        asked.append(len(rows))
        return [Prediction("a", 0.5, True, extra={"problem": "the server is gone"}) for _ in rows]

    for _ in range(2):
        cache.answer([{"text": "x"}], fail)
    assert asked == [1, 1]


def test_only_dear_models_have_a_cache():
    schema = Schema((Field("text", "text", "input"), Field("n", "number", "input")), ())

    def made(model, children=(), capacity=10, near=True):
        found = SimpleNamespace(model=model, children=dict.fromkeys(children, ""), schema=schema)
        return cache_for(found, capacity, near)

    assert made("tfidf_linear") is None and made("llm_prompt") is not None and made("cascade") is not None
    assert made("lookup", ["llm_prompt"]) is not None and made("llm_prompt", capacity=0) is None
    assert vars(made("llm_prompt"))["_near_fields"] == ("text",) and not vars(made("llm_prompt", near=False))["_near_fields"]  # fmt: skip


def test_a_server_asks_a_language_model_once_for_equal_rows(tmp_path):
    words = {"kitchen": "soup|bread", "sport": "goal|match"}
    things = ["soup", "bread", "goal", "match"]
    rows = [(f"note {i} about the {things[i % 4]}", "kitchen" if i % 4 < 2 else "sport") for i in range(60)]
    write_csv(tmp_path / "notes.csv", ["text", "label"], rows)
    with llm_server(by_keywords(words, "sport", logprob=-0.02)) as server:
        spec = f'{{"model": "llm_prompt", "params": {{"service": "{server.base}", "model": "test-1", "usd_in": 1.0, "usd_out": 10.0, "search": 0}}}}'
        (tmp_path / "product.yaml").write_text(
            "name: notes\ntask: text_classification\ndata: {path: notes.csv, input: text, target: label}\n"
            f"bar: {{metric: accuracy, at_least: 0.6}}\ncertify: {{fraction: 0}}\nbudget: {{effort: 0, threads: 1}}\nladder: [majority, {spec}]\n"
        )
        done = rung.build(tmp_path / "product.yaml", run=tmp_path / "run")
        model, journal = rung.load(done.bundle), Journal(tmp_path / "service")
        service = Service(ServeSpec(near_cache=True), journal=journal, folder=tmp_path / "service")
        before = len(server.seen)
        with TestClient(create_app([model], uncertified=True, service=service)) as client:

            def ask(*texts):
                body = {"inputs": [{"text": text} for text in texts]}
                return client.post(model.manifest.endpoint, json=body).json()["predictions"]

            first = ask("the soup is cold", "the soup is cold")
            again = ask("The soup is cold.", "the soup is not cold")
            kept = [client.get(f"/v1/predictions/{answer['id']}").json() for answer in [*first, *again]]
            metrics = client.get("/metrics").text
            text = client.get("/openapi.json").text
        assert len(server.seen) - before == 2, "one call for the soup, one for its opposite"
        assert [answer.get("cached", False) for answer in [*first, *again]] == [False, True, True, False]
        assert (
            kept[0]["price_usd"] > 4e-5 > 1e-5 > kept[1]["price_usd"]
            and kept[1]["answered_by"] == "llm_prompt"
        )
        assert 'rung_cached_answers_total{model="notes"' in metrics and '"cached"' in text
        journal.close()
