"""Mending is deterministic and idempotent, in English and Chinese, whatever the text; and linear in its length."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rung.cleaning import simplified
from rung.cleaning.pipeline import CleaningPipeline
from rung.cleaning.steps import DEFAULT_STEPS, make_step, step_modules
from rung.core.errors import BundleError, SpecError
from rung.core.spec.cleaning import PrivacySpec, StepSpec

SAFE_CHAIN = CleaningPipeline.from_spec(None, PrivacySpec())
ALL = CleaningPipeline.from_spec(
    [StepSpec(step=name) for name in (*DEFAULT_STEPS[:3], "simplified", "quotes", "whitespace")],
    PrivacySpec(mask="all"),
)
# Pieces that steps look for, to be put together in every way.
PIECES = [
    "<b>", "</b>", "<br/>", "<script>", "</script>", "<!--", "-->", "<", ">", "&", "&amp;", "&lt;", "&#60;", "&#38;",
    "#38;", "amp;", "&#xFF21;", "&nbsp;", "&#65308;b&#65310;", "＜p＞", "＆lt;", "\u200b", "\u200d", "\u0301", "\u00ad", " ", "\n",
    "\r\n", "\u3000", "\t", "> ", "On Monday, Ann wrote:", "张三于昨天写道：", "這個", "发票", "乾坤", "Ａｂ１", "①", "½", "é", "e",
    "13800138000", "138 0013", "８０００", "-", "+44 20 7946", "0958", "a", "@", "qq", ".com", "4111 1111 1111 1111", "<PHONE_1>",
    "<EMAIL_2>", "1.2.3.4", "京A", "12345", "电话", "call", "password: hunter2", "110105194912310", "02X", "x", "\ufeff", "👨‍👩‍👧",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=60)


def mended(chain, text):
    return chain.apply({"text": text}, ["text"]).values["text"]


@pytest.mark.parametrize("chain", [SAFE_CHAIN, ALL], ids=["safe", "all"])
@settings(max_examples=600, deadline=None)
@given(text=texts)
def test_twice_is_once(chain, text):
    once = mended(chain, text)
    assert mended(chain, once) == once
    assert mended(chain, text) == once


@pytest.mark.parametrize("name", sorted(step_modules()))
@settings(max_examples=150, deadline=None)
@given(text=texts)
def test_each_step_is_idempotent(name, text):
    step = make_step(name, {})
    once = step.apply(text)
    assert step.apply(once) == once


@pytest.mark.parametrize(
    "raw,clean",
    [
        ("Zero\u200bwidth\ufeff and soft\u00adhyphens", "Zerowidth and softhyphens"),
        ("  too \t many\u00a0 blanks \r\n\r\n\r\n\r\nnext ", "too many blanks\n\nnext"),
        ("<p>Hello&nbsp;<b>world</b></p><p>again</p>", "Hello world\n\nagain"),
        ("AT&amp;amp;T &lt;b&gt;bold&lt;/b&gt;", "AT&T bold"),
        ("if a < b && c > d: List<String>", "if a < b && c > d: List<String>"),
        ("how do I use <b> in a page?", "how do I use <b> in a page?"),
        ("mail <ann@example.com> or <PHONE_1>", "mail <ann@example.com> or <PHONE_1>"),
        ("before<script>alert('x')</script><!-- no -->after", "before after"),
        ("ＶＩＰ会员８折，请拨打ｈｏｔｌｉｎｅ", "VIP会员8折，请拨打hotline"),
        ("“全角标点”，保留！", "“全角标点”，保留！"),
        ("&#65313;pple", "Apple"),
        ("caf\u0065\u0301", "café"),
        ("👨\u200d👩\u200d👧 fa\u200dmily", "👨\u200d👩\u200d👧 family"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("", ""),
    ],
)
def test_what_the_safe_steps_do(raw, clean):
    assert mended(SAFE_CHAIN, raw) == clean


def test_optional_steps():
    mail = "Please call me.\n\nOn Mon, 3 Feb 2024, Ann Lee wrote:\n> the bill\n> is wrong"
    assert make_step("quotes", {}).apply(mail).strip() == "Please call me."
    assert (
        make_step("quotes", {}).apply("收到，谢谢。\n在 2024年2月3日，李雷写道：\n> 账单有误").strip()
        == "收到，谢谢。"
    )
    assert make_step("quotes", {}).apply("> only a quote") == "> only a quote"
    assert make_step("simplified", {}).apply("請問發票與訂單編號") == "请问发票与订单编号"
    assert make_step("unicode", {"form": "nfkc"}).apply("①㎏") == "1kg"
    assert make_step("whitespace", {"lines": False}).apply("a\n\n b") == "a b"
    assert make_step("width", {"marks": True}).apply("好，（很）") == "好,(很)"


def test_simplified_characters_are_no_traditional_ones():
    table = simplified.table()
    assert len(table) > 4_000 and not {ord(new) for new in table.values()} & set(table)


GIANT = {
    "blanks": " ", "tags": "<b ", "comments": "<!--", "scripts": "<script>", "layers": "amp;", "open": "<", "zero width": "\u200b1",
    "accents": "\u0301", "nested": "<b><", "ats": "a@", "digits": "1", "groups": "1 2 3 4 ", "pairs": "12-34-", "hex": "a:1:", "dots": "1.",
    "keys": "-----BEGIN PRIVATE KEY-----", "words": "password:", "calls": "call 123456 ", "quotes": "> ", "wide": "１",
}  # fmt: skip


@pytest.mark.parametrize("piece", GIANT.values(), ids=GIANT.keys())
def test_time_is_linear_in_the_length(piece):
    """Four times the text may take four times the time, with room for a busy machine; not sixteen times."""

    def seconds(length):
        text = "&" + piece * (length // len(piece))
        best = float("inf")
        for _ in range(2):
            begun = time.process_time()
            mended(ALL, text)
            best = min(best, time.process_time() - begun)
        return best

    small, large = seconds(10_000), seconds(40_000)
    assert large < max(9 * small, 0.2)


def test_a_megabyte_is_mended():
    text = "<p>Bitte rufen Sie +49 30 1234567 an &amp; warten。电话１３８００１３８０００</p>\n" * 14_000
    begun = time.process_time()
    once = mended(ALL, text)
    assert (
        len(text) > 1_000_000 - 100_000
        and once.count("<PHONE_1>") == 14_000
        and once.count("<PHONE_2>") == 14_000
    )
    assert time.process_time() - begun < 60


def test_a_chain_survives_a_manifest():
    assert CleaningPipeline.from_dict(ALL.as_dict()) == ALL
    assert CleaningPipeline.from_dict({}) == CleaningPipeline() and CleaningPipeline().as_dict() == {}
    for broken in (
        {"steps": [{"step": "rot13", "params": {}}]},
        {"steps": 3},
        {"mask": ["iris"]},
        {"steps": ["html"]},
    ):
        with pytest.raises(BundleError, match="pip install -e|mended in a way"):
            CleaningPipeline.from_dict(broken)


def test_mistakes_in_a_spec_are_said_all_at_once():
    with pytest.raises(SpecError) as caught:
        CleaningPipeline.from_spec(
            [
                StepSpec(step="htlm"),
                StepSpec(step="width", params={"mark": True}),
                StepSpec(step="html"),
                StepSpec(step="html"),
            ],
            PrivacySpec(),
        )
    said = str(caught.value)
    assert "clean.0: there is no step 'htlm'. Did you mean 'html'?" in said
    assert "clean.1: 'mark' is not a parameter. Did you mean 'marks'?" in said
    assert "clean.3: the step 'html' is listed twice. Keep one." in said
