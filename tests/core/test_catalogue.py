"""One catalogue in two languages: the same keys, the same placeholders, nothing unused, numbers and dates right."""

import re
import string
import tomllib

import pytest

from rung.core import messages, registry
from rung.core.errors import RungError
from rung.core.messages import catalogue, say
from rung.core.regulation import kinds
from support import ROOT


def forms(message):
    return [message] if isinstance(message, str) else list(message.values())


def names(message):
    return {name for form in forms(message) for _, name, _, _ in string.Formatter().parse(form) if name}


def our_models():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return set(project["entry-points"]["rung.models"])


def test_both_languages_have_the_same_keys_and_placeholders():
    en, zh = catalogue("en"), catalogue("zh")
    assert set(en) == set(zh)
    for key in en:
        assert names(en[key]) == names(zh[key]), key
        assert all(isinstance(form, str) and form for m in (en[key], zh[key]) for form in forms(m)), key
        assert isinstance(zh[key], str), f"{key}: Chinese has no plural"


def test_no_key_is_unused():
    text = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    literal = set(re.findall(r"""["']([a-z_]+(?:\.[a-z_0-9]+)+)["']""", text))
    begun = set(re.findall(r"""f["']([a-z_]+(?:\.[a-z_]+)*\.[a-z_]*)\{""", text))
    ended = set(re.findall(r"""f["']\{[a-z_]+\}(\.[a-z_]+)["']""", text))
    words = set(kinds()) | set(re.findall(r"""["']([a-z_0-9]+)["']""", text))
    words |= our_models()
    for key in catalogue("en"):
        if key in literal or key.endswith(tuple(ended)):
            continue
        # A key put together at run time: its end must be written out somewhere, or come from what the data holds.
        start, _, end = key.rpartition(".")
        assert key.startswith(tuple(begun)), key
        assert (
            end in words
            or end.split("_")[-1] in {*words, "eu", "cn"}
            or start in {"status", "reason", "mending", "step"}
        ), key


def test_every_model_of_ours_is_described_in_words():
    named = {key.removeprefix("family.") for key in catalogue("en") if key.startswith("family.")}
    assert named == our_models()


def test_chinese_is_chinese():
    for key, message in catalogue("zh").items():
        # Names of values are no words of the message.
        message = re.sub(r"\{\w+\}", "", message)
        assert any("\u4e00" <= char <= "\u9fff" for char in message) or not re.search("[a-z]{4}", message), (
            key
        )


def test_plurals_and_grouped_numbers():
    assert say("method.folds", "en", n=3) == "cross-validated in 3 folds of the training rows"
    assert say("certificate.how", "en", n=1).startswith("1 row was")
    assert say("certificate.how", "en", n=1432).startswith("1,432 rows were")


@pytest.mark.parametrize(
    "call,en,zh",
    [
        (lambda lang: messages.count(100_000, lang), "100,000", "10 万"),
        (lambda lang: messages.count(1_692, lang), "1,692", "1,692"),
        (lambda lang: messages.count(12_345, lang), "12,345", "12,345"),
        (lambda lang: messages.money(0.0088123, lang), "$0.0088", "0.0088 美元"),
        (lambda lang: messages.money(36, lang), "$36.00", "36.00 美元"),
        (lambda lang: messages.money(58_896.4, lang), "$58,896", "58,896 美元"),
        (lambda lang: messages.duration(0.2, lang), "<1 s", "<1 秒"),
        (lambda lang: messages.duration(200, lang), "3 min", "3 分钟"),
        (lambda lang: messages.duration(9_000, lang), "2.5 h", "2.5 小时"),
        (lambda lang: messages.day("2026-11-01", lang), "1 November 2026", "2026 年 11 月 1 日"),
        (lambda lang: messages.day("soon", lang), "soon", "soon"),
        (lambda lang: messages.join_list(["a", "b", "c"], lang), "a, b and c", "a、b 和 c"),
        (lambda lang: messages.join_list(["体育", "财经"], lang), "体育 and 财经", "体育和财经"),
        (lambda lang: messages.join_list(["a"] * 5, lang, most=2), "a, a and 3 more", "a、a 和另外 3 个"),
    ],
)  # fmt: skip
def test_numbers_dates_and_lists(call, en, zh):
    assert call("en") == en
    assert call("zh") == zh


def test_the_language_is_what_was_asked_for_then_the_variable_then_the_system(monkeypatch):
    for name in ("RUNG_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert messages.resolve_language() == "en"
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert messages.resolve_language() == "zh"
    monkeypatch.setenv("RUNG_LANG", "en")
    assert messages.resolve_language() == "en" and messages.resolve_language("zh-CN") == "zh"
    with pytest.raises(RungError) as caught:
        messages.resolve_language("fr")
    assert "there are no messages in 'fr'" in str(caught.value) and "en or zh" in str(caught.value)


def test_metrics_have_names_in_chinese_and_keys_in_english():
    assert (
        messages.metric_name("accuracy", "zh") == "准确率"
        and messages.metric_name("f1:spam", "en") == "f1:spam"
    )
    assert messages.metric_name("f1:spam", "zh") == "“spam”的 F1"
    assert messages.metric_name("a plugin's own", "zh") == "a plugin's own"
    for name, shown in [("accuracy", "准确率不低于 0.9"), ("roc_auc", "ROC-AUC 不低于 0.9")]:
        assert say("certificate.at_least", "zh", metric=name, bound="0.9") == shown


def test_every_metric_of_a_task_has_a_name():

    for name in ("text_classification", "tabular_classification", "tabular_regression"):
        task = registry.task(name)
        for metric in task.metrics(task.schema(["text"], ["a", "b"])):
            kind, colon, _ = metric.name.partition(":")
            assert messages.has_message(f"metric.{kind}{'_of' if colon else ''}", "zh"), metric.name


def test_words_come_in_the_language_asked_for():
    assert (
        messages.localized("zh", {"en": "a", "zh": "b"}) == "b"
        and messages.localized("zh", {"en": "a"}) == "a"
    )
    assert messages.localized("zh", "as it is") == "as it is"
    assert say("costs.dated", "zh", date="x", source={"en": "list", "zh": "标价"}).endswith("来源：标价。")
