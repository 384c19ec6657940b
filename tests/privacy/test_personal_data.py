"""Personal data is found where it stands, in English and Chinese, and what only looks like it is not."""

import pytest

from rung.core.errors import RungError
from rung.core.spec.cleaning import DEFAULT_KINDS, KINDS
from rung.privacy import find_personal_data, require_packages
from rung.privacy.card import luhn
from rung.privacy.cn_id import is_valid
from rung.privacy.masking import RowMasker
from support import ROOT


def found(text, kinds=DEFAULT_KINDS):
    return [(span.kind, text[span.start : span.end]) for span in find_personal_data(text, kinds)]


@pytest.mark.parametrize(
    "text,kind,value",
    [
        ("call me at (415) 555-1234 ext 5.", "phone", "(415) 555-1234 ext 5"),
        ("+41 (0)21 345 67 89", "phone", "+41 (0)21 345 67 89"),
        ("001-555-123-4567x889", "phone", "001-555-123-4567x889"),
        ("They're not answering at 84 23 30", "phone", "84 23 30"),
        ("我的手机是１３８００１３８０００", "phone", "１３８００１３８０００"),
        ("加我138-0013-8000", "phone", "138-0013-8000"),
        ("电话：010-65521234转8001", "phone", "010-65521234转8001"),
        ("(+86)13912345678", "phone", "(+86)13912345678"),
        ("tel13800138000", "phone", "13800138000"),
        ("请致电4008108888", "phone", "4008108888"),
        ("138\u200b0013\u200b8000", "phone", "138\u200b0013\u200b8000"),
        ("写信到zhang.san@qq.com请回复", "email", "zhang.san@qq.com"),
        ("ｚｈａｎｇ＠ｑｑ．ｃｏｍ", "email", "ｚｈａｎｇ＠ｑｑ．ｃｏｍ"),
        ("Hamanová@armyspy.com!", "email", "Hamanová@armyspy.com"),
        ("card 4111 1111 1111 1111 thanks", "card", "4111 1111 1111 1111"),
        ("卡号6222021234567890128转账", "card", "6222021234567890128"),
        ("amex 378282246310005", "card", "378282246310005"),
        ("from 192.168.1.10.", "ip", "192.168.1.10"),
        ("at fe80::1ff:fe23:4567:890a", "ip", "fe80::1ff:fe23:4567:890a"),
        ("身份证11010519491231002X", "cn_id", "11010519491231002X"),
        ("身份证号110105491231002", "cn_id", "110105491231002"),
        ("车牌京A·12345违停", "plate", "京A·12345"),
        ("沪AD12345", "plate", "沪AD12345"),
        ("key AKIAIOSFODNN7EXAMPLE", "secret", "AKIAIOSFODNN7EXAMPLE"),
        ("密码：hunter22", "secret", "hunter22"),
    ],
)
def test_what_is_personal_is_found(text, kind, value):
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    "text",
    [
        "order 4839201745 arrived, call support", "订单号：202401021234567", "QQ 123456789", "IBAN DE89 3704 0044 0532 0130 00",
        "on 01.02.2024 10:30 and 2024-01-02 13", "1,234,567,890 people", "pi is 3.14159265358", "version 1.2.3.4 at 12:30:45",
        "4111 1111 1111 1112", "110105194912310021", "云A股大涨", "std::vector<int>", "the password is required", "ratio 16:9",
        "手机卖了1234567元", "<PHONE_1> <EMAIL_2>", "2019 2020 2021", "ISBN 978-7-111-12345-6", "a@b", "@@@@",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not(text):
    assert found(text) == []


def test_kinds_not_asked_for_keep_what_is_theirs():
    """A card is no phone number, whatever was asked."""
    assert found("call about 4111 1111 1111 1111", {"phone"}) == []
    assert found("call 13800138000 or a@b.com", {"email"}) == [("email", "a@b.com")]


def test_the_check_digits():
    assert luhn("4111111111111111") and not luhn("4111111111111112")
    assert (
        is_valid("11010519491231002X")
        and not is_valid("110105194912310020")
        and not is_valid("990105194912310021")
    )


def test_the_same_value_has_the_same_mark_all_through_a_row():
    texts = ["call 13800138000 or 138-0013-8000", "or +86 13900139000, a@b.com, A@B.COM"]
    marks = RowMasker(texts)
    assert [marks.mask(text, DEFAULT_KINDS) for text in texts] == [
        "call <PHONE_1> or <PHONE_1>", "or <PHONE_2>, <EMAIL_1>, <EMAIL_1>",
    ]  # fmt: skip
    assert marks.found == {"phone": 3, "email": 2}
    again = ["<PHONE_3> and 13800138000"]
    assert RowMasker(again).mask(again[0], DEFAULT_KINDS) == "<PHONE_3> and <PHONE_4>"


def test_one_file_a_kind():
    files = {path.stem for path in (ROOT / "src/rung/privacy").glob("*.py")}
    assert set(KINDS) == files - {"__init__", "spans", "masking"}


def test_names_need_an_extra():
    require_packages(DEFAULT_KINDS)
    try:
        import presidio_analyzer  # noqa: F401
    except ImportError:
        with pytest.raises(RungError, match="presidio-analyzer"):
            require_packages(["person"])
