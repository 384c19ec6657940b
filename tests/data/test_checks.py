"""Each check finds what was planted, in English and Chinese, and keeps quiet on clean data."""

from __future__ import annotations

import csv
import io
import json
import random

import pytest

from rung.core.spec.product import load_product
from rung.data.checks import checks, names, run_checks
from rung.data.profile.view import View
from support import write_spec

WORDS = """the parcel came late and nobody told me why it was so last week my neighbour asked whether you could help with
another order which we placed during summer because our old kettle broke after only three months of normal use please answer
soon since guests arrive on friday evening and i would rather not boil water in a pan again like some camping student thanks
for looking into this matter best wishes from everyone here who still hopes that things will somehow work out in the end"""
ENGLISH = WORDS.split()
CHINESE = (
    "快递昨天到了但是包装破了我想退货请问怎么办理谢谢你们上周邻居说可以帮忙另外还有一张订单夏天买的水壶用了三个月就坏掉"
    "希望尽快回复因为星期五晚上客人要来家里吃饭没有热水实在不方便如果能换新的最好不过运费由谁承担也请说明一下"
)


def english(draw: random.Random, label: str) -> str:
    topic = {
        "post": "parcel courier delivery depot van doorstep box",
        "bill": "invoice payment refund charge bank sum tax",
    }[label]
    return " ".join(draw.choices(ENGLISH, k=22) + draw.choices(topic.split(), k=2))


def chinese(draw: random.Random, label: str) -> str:
    topic = {"post": "包裹快件物流配送", "bill": "发票付款退钱账单"}[label]
    return "".join(draw.choices(CHINESE, k=40) + draw.choices(topic, k=4))


WRITE = {"en": english, "zh": chinese}


@pytest.fixture(params=["en", "zh"])
def plain(request):
    """300 clean rows of two labels."""
    draw = random.Random(0)
    return [(WRITE[request.param](draw, label), label) for label in ("post", "bill") * 150]


@pytest.fixture
def look(tmp_path, prepared):
    """Return a function from rows to what the checks of a build find, by check."""

    def found(rows, header=("text", "label"), until="build", clean=None, **data):
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(header)
        writer.writerows(rows)
        (tmp_path / "certificate.lock").unlink(missing_ok=True)
        made = prepared(text.getvalue(), clean=clean, **data)
        spec = {"path": "data.csv", **data}
        path = tmp_path / "product.yaml"
        path.write_text(
            json.dumps(
                {
                    "task": "text_classification",
                    "data": spec,
                    "bar": {"metric": "accuracy", "at_least": 0.9},
                    "clean": clean,
                }
            )
        )
        product, base = load_product(path)
        view = View(product, base, made.dataset)
        return {finding.check: finding for finding in run_checks(view, until)}

    return found


def test_clean_rows_are_let_alone(look, plain):
    assert look(plain) == {}


def test_spellings_of_one_label(look, plain):
    twins = {"post": ["Post", "post ", "ｐｏｓｔ"], "bill": ["bill"]}
    rows = [(text, twins[label][0] if i % 50 == 0 else label) for i, (text, label) in enumerate(plain)]
    rows[2] = (rows[2][0], "ｐｏｓｔ")
    found = look(rows)["label_spelling"]
    assert found.level == "stop" and found.values["groups"] == 1
    assert 3 <= found.rows <= 7
    assert {item.note for item in found.evidence} == {"Post = post", "ｐｏｓｔ = post"}


def test_few_rows_of_a_label(look, plain):
    found = look(plain + [(f"{text[:40]} {i}", "rare") for i, (text, _) in enumerate(plain[:8])])[
        "small_classes"
    ]
    assert "'rare'" in found.values["labels"] and found.rows <= 8
    assert len(found.evidence) == found.rows and {item.note for item in found.evidence} == {"rare"}


def test_html(look, plain):
    rows = [
        (f"<p>{text}&nbsp;</p>" if i % 10 == 0 else f"{text} a<b, 3 < 4 <3", y)
        for i, (text, y) in enumerate(plain)
    ]
    found = look(rows, clean=[])["markup"]
    assert 15 <= found.rows <= 30 and found.of > 200
    assert "markup" not in look(rows), "the steps that mend texts by default take it out"


MAILS = [
    "ok\n> the first line of before\n> and the second",
    "done\n-----Original Message-----\nfrom me",
    "yes\nOn Mon, 3 May 2021 at 10:00 Ann <a@b.c> wrote:\nwhat",
    "好的\n----- 原始邮件 -----\n请看",
    "收到\n2021年5月3日，小王 写道：\n请看附件",
    "同意\n发件人：小王\n收件人：小李\n主题：报价",
]


def test_quoted_mails(look, plain):
    rows = [(f"{text}\n{MAILS[i % 6]} {i}" if i % 10 < 3 else text, y) for i, (text, y) in enumerate(plain)]
    assert 60 <= look(rows)["quoted_replies"].rows <= 90
    talk = [(f"{text} > 5, he wrote: fine", y) for text, y in plain]
    assert "quoted_replies" not in look(talk)


@pytest.mark.parametrize(
    "line", ["Sent from my phone, please excuse typos.", "本邮件及其附件含有保密信息，请勿转发。"]
)
def test_lines_that_many_share(look, plain, line):
    rows = [
        (f"{text}\n{line}" if i % 5 < 2 else f"{text}\n{text[::-1]}", y) for i, (text, y) in enumerate(plain)
    ]
    found = look(rows)["boilerplate"]
    assert line[:20] in found.values["lines"] and 70 <= found.rows <= 120


def test_gibberish(look, plain):
    odd = ["xkqzj wvbnm qptrz kjhgf dsazx", "锟斤拷锟斤拷烫烫烫", "？？？……！！", "aaaaaaaaaaaaaaaaaaaaaaaa"]
    long = [(f"{text} {text[::-1] if not text.isascii() else text}", y) for text, y in plain]
    found = look(long + [(f"{text} {'x' * 0}", "post") for text in odd])["gibberish"]
    kinds = found.values["kinds"]
    assert found.rows >= 2 and (
        "encoding" in kinds or "marks" in kinds or "repeated" in kinds or "letters" in kinds
    )


GERMAN = [
    "ich",
    "habe",
    "das",
    "paket",
    "nicht",
    "erhalten",
    "und",
    "die",
    "rechnung",
    "ist",
    "auch",
    "nicht",
    "da",
    "der",
    "fahrer",
    "war",
    "wohl",
    "mit",
    "dem",
    "wagen",
    "auf",
    "dem",
    "weg",
    "zu",
    "einem",
    "anderen",
    "kunden",
    "für",
    "den",
    "sich",
    "niemand",
    "zuständig",
    "fühlt",
    "bitte",
    "melden",
    "sie",
    "sich",
    "bald",
    "denn",
    "wir",
    "brauchen",
    "die",
    "ware",
]


def test_languages(look, plain):
    draw = random.Random(2)
    other = WRITE["zh" if plain[0][0].isascii() else "en"]
    rows = plain + [(other(draw, "post"), "post") for _ in range(20)]
    rows += [(" ".join(draw.choices(GERMAN, k=25)), "bill") for _ in range(20)]
    found = look(rows)["languages"]
    assert {item.note for item in found.evidence} == {"de", "zh" if plain[0][0].isascii() else "en"}
    assert {part.split()[0] for part in found.values["shares"].split(", ")} == {"zh", "en", "de"}
    assert 20 <= found.rows <= 40


def test_lengths(look, plain):
    rows = [(text * 400 if i == 10 else text, y) for i, (text, y) in enumerate(plain + plain[:0])]
    rows += [((text * 60)[:800], y) for text, y in plain[:60]]
    found = look(rows)["lengths"]
    assert found.values["long"] + found.values["cut"] >= 1


def test_a_word_that_gives_the_label_away(look, plain):
    mark = {"post": "zip7", "bill": "iban9"}
    rows = [(f"{text} {mark[y] if i % 10 else ''}", y) for i, (text, y) in enumerate(plain)]
    found = look(rows)["leak_word"]
    assert found.level == "stop" and "zip7" in found.values["words"] and "iban9" in found.values["words"]


def test_a_column_that_gives_the_label_away(look, plain):
    by_label = sorted(plain, key=lambda row: row[1])
    rows = [(text, f"2024-01-{i // 24 + 1:02} {i % 24:02}:00", y) for i, (text, y) in enumerate(by_label)]
    found = look(rows, ("text", "at", "label"), input=["text", "at"])["leak_column"]
    assert found.values["column"] == "at" and found.values["how"] == "order"
    rows = [(text, f"{y[0].upper()}-{i:05}", y) for i, (text, y) in enumerate(plain)]
    found = look(rows, ("text", "ref", "label"), input=["text", "ref"])["leak_column"]
    assert found.values["column"] == "ref" and found.values["how"] == "value"
    random.Random(1).shuffle(rows)
    free = [(text, f"R-{i:05}", y) for i, (text, _, y) in enumerate(rows)]
    assert "leak_column" not in look(free, ("text", "ref", "label"), input=["text", "ref"])


def test_training_rows_later_than_certification_rows(look, plain):
    rows = [(text, f"2024-{i // 28 + 1:02}-{i % 28 + 1:02}", y) for i, (text, y) in enumerate(plain)]
    found = look(rows, ("text", "sent", "label"))["leak_time"]
    assert found.values["column"] == "sent" and 0.3 < found.rows / found.of < 0.7
    assert "leak_time" not in look(rows, ("text", "sent", "label"), time="sent")


def test_every_check_has_words_in_both_languages(look, plain):
    from rung.core.messages import has_message

    for name in checks():
        for lang in ("en", "zh"):
            for part in ("name", "what", "cost", "remedy"):
                assert has_message(f"finding.{name}.{part}", lang), (name, part)


def test_checks_of_targets_are_left_out_where_there_are_none(look, plain, tmp_path, prepared):
    made = prepared("text,label\n" + "".join(f"{t},{y}\n" for t, y in plain))
    product, base = load_product(write_spec(tmp_path, tmp_path / "data.csv"))
    view = View(product, base, made.dataset)
    assert "leak_word" in names(view) and "wrong_labels" not in names(view)


def test_evidence_comes_from_training_rows_alone(look, plain, tmp_path, prepared):
    rows = [(f"<p>{text}</p>", y) for text, y in plain]
    found = look(rows, clean=[])["markup"]
    from rung.data.prepare.parquet import read_places

    dataset = prepared(None).dataset
    trains, certifies = read_places(dataset, "train"), read_places(dataset, "certification")
    shown = {(item.file, item.row) for item in found.evidence}
    assert shown <= trains and not shown & certifies and len(certifies) > 50


@pytest.mark.parametrize("clean", [ENGLISH, CHINESE], ids=["en", "zh"])
def test_near_duplicates_and_contradicting_labels(look, clean):
    draw = random.Random(3)
    join = " " if isinstance(clean, list) else ""
    own = [
        [f"{draw.choice('bdfgk')}{draw.choice('aeiou')}{i * 7919 + k:x}" for k in range(6)]
        for i in range(200)
    ]
    rows = [join.join([*draw.choices(clean, k=5), *(f" {word} " for word in words)]) for words in own]
    copies = [row + (" indeed" if join else "啊") for row in rows[:30]]
    labelled = [(row, "ab"[i % 2]) for i, row in enumerate(rows)]
    labelled += [(row, "ab"[(i + (i < 10)) % 2]) for i, row in enumerate(copies)]
    found = look(labelled, until="check").get("near_duplicates")
    assert found is not None and found.level == "warn"
    # Copies whose other half certifies were left out before; the pairs left in training are found.
    assert 6 <= found.values["clusters"] <= 30 and 1 <= found.values["contradictions"] <= 10
    assert found.table[0]["contradicts"] == "yes" and found.table[-1]["contradicts"] == ""
    assert len(found.table) == found.rows


def test_unlabelled_rows_that_differ(look, plain):
    draw = random.Random(4)
    other = [(WRITE["en"](draw, "bill") + " webshop kiosk phone app screen", "") for _ in range(120)]
    found = look(plain + other, until="check")["sides_differ"]
    assert [side["side"] for side in found.values["sides"]] == ["unlabelled"]
    assert "kiosk" in " ".join(found.values["sides"][0]["theirs"]) or not plain[0][0].isascii()
    # What is shown are training rows, never one of the other side.
    assert found.evidence and not any("kiosk phone" in item.excerpt for item in found.evidence)
    assert "sides_differ" not in look(plain, until="check")
