"""Texts with fields to extract: presidio-evaluator's English templates and identities, and Chinese templates made here."""

from __future__ import annotations

import csv
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from sets import member

from privacy import FOLDER, PACKAGE, PERSON, digits, english_value

# Places of a template -> the field they belong to; other places are filled and are no field.
ENGLISH_FIELDS = {
    "address": "address", "city": "city", "country": "country", "organization": "organization", "credit_card_number": "card",
    "phone_number": "phone", "email": "email",
} | dict.fromkeys(PERSON, "person")  # fmt: skip
CHINESE_TEMPLATES = (
    "您好，我叫{姓名}，订单{订单号}一直没有发货，请尽快处理。",
    "{姓名}于{日期}通过网银转账{金额}，收款单位是{公司}。",
    "收货人：{姓名}\n电话：{电话}\n地址：{地址}",
    "请把发票寄到{地址}，抬头写{公司}，金额{金额}。",
    "我在{日期}买的东西到现在还没到，订单号是{订单号}，电话{电话}。",
    "{公司}欠我们{金额}的货款，说好{日期}之前付清。",
    "麻烦帮我把收件地址改成{地址}，谢谢。",
    "客服你好，订单{订单号}扣了我两次钱，一共{金额}，请退一笔给我。",
    "我是{公司}的{姓名}，想约{日期}下午谈合作，手机{电话}。",
    "今收到{姓名}交来押金{金额}整。",
    "付款通知：贵司应于{日期}前支付{金额}至{公司}账户，合同编号{订单号}。",
    "{姓名}和{姓名}都在这份合同上签了字，日期是{日期}。",
    "新来的同事{姓名}住在{地址}，有事打{电话}。",
    "退款{金额}已经到账，不用再打我电话了。",
    "请问你们{日期}上班吗？",
    "快递放在门卫那里就行，不用打电话。",
    "这个月的账单多收了{金额}，户主是{姓名}，请查一下。",
    "报销单：{日期}，出差到{地址}，共计{金额}，报销人{姓名}。",
    "会议定在{日期}，地点是{公司}三楼，联系人{姓名}（{电话}）。",
    "请问订单{订单号}什么时候能到{地址}？",
    "{公司}的报价是{金额}，比上次贵了不少。",
    "帮我查一下{姓名}的会员积分，手机号{电话}。",
    "东西收到了，很满意，下次还来。",
    "兹证明{姓名}自{日期}起在{公司}任职。",
    "定金{金额}请在{日期}前打到公司账户，联系{姓名}。",
    "你们{日期}给我打的电话我没接到，请回拨{电话}。",
    "户名{姓名}，金额{金额}，用途：货款，对方：{公司}。",
    "我要投诉，{日期}寄出的订单{订单号}摔坏了，损失大约{金额}。",
    "从{地址}搬到{地址}要多少钱？",
    "发件人{姓名}，寄往{地址}，运费{金额}到付。",
)  # fmt: skip
_SURNAMES, _GIVEN = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗高",
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超霞平刚桂英文华建国志红玉兰",
)
_CITIES = (
    "北京市朝阳区",
    "上海市浦东新区",
    "广州市天河区",
    "深圳市南山区",
    "杭州市西湖区",
    "成都市武侯区",
    "武汉市洪山区",
    "西安市雁塔区",
)
_ROADS = ("建国路", "人民大道", "中山路", "解放街", "学院路", "长江路", "和平里", "光明巷")
_FIRMS, _TRADES = (
    ("华信", "东方", "金利", "新宇", "恒通", "天成", "远大", "利民"),
    ("科技有限公司", "贸易有限公司", "物流公司", "建筑工程有限公司", "餐饮管理有限公司"),
)


@dataclass(frozen=True)
class Letter:
    """A text, its values by field, and the template it was made of."""

    text: str
    fields: dict[str, list[str]]
    template: int


def english(count: int, seed: int = 0) -> list[Letter]:
    """Return texts of the 210 templates in turn, each filled with one of 3,000 generated identities."""
    draw = random.Random(seed)
    with member(*PACKAGE, FOLDER + "FakeNameGenerator.com_3000.csv").open(encoding="utf-8-sig") as file:
        people = list(csv.DictReader(file))
    lines = member(*PACKAGE, FOLDER + "templates.txt").read_text("utf-8", errors="replace").splitlines()
    templates = [line.strip().replace("\\n", "\n").replace("\\,", ",") for line in lines if line.strip()]
    found = []
    for i in range(count):
        number, person = i % len(templates), people[draw.randrange(len(people))]
        fill = _filler(lambda name, person=person: english_value(name, person, draw))
        found.append(_letter(templates[number], number, r"\{\{(\w+)\}\}", ENGLISH_FIELDS, fill))
    return found


def chinese(count: int, seed: int = 0) -> list[Letter]:
    """Return texts of the Chinese templates in turn, filled with drawn values."""
    draw = random.Random(seed)
    names = {name: name for template in CHINESE_TEMPLATES for name in re.findall(r"\{(\w+)\}", template)}
    fill = _filler(lambda name: _chinese_value(name, draw))
    return [
        _letter(CHINESE_TEMPLATES[i % len(CHINESE_TEMPLATES)], i % len(CHINESE_TEMPLATES), r"\{(\w+)\}", names, fill)
        for i in range(count)
    ]  # fmt: skip


def _filler(value: Callable[[str], str]) -> Callable[[str], str]:
    return lambda name: value(name).strip()


def _letter(
    template: str, number: int, place: str, fields: dict[str, str], fill: Callable[[str], str]
) -> Letter:
    text, at, found = "", 0, {}
    for match in re.finditer(place, template):
        value = fill(match[1])
        text += template[at : match.start()] + value
        at = match.end()
        if match[1] in fields:
            found.setdefault(fields[match[1]], []).append(value)
    return Letter(text + template[at:], found, number)


def _chinese_value(name: str, draw: random.Random) -> str:
    if name == "姓名":
        return draw.choice(_SURNAMES) + "".join(draw.choices(_GIVEN, k=draw.choice((1, 2, 2))))
    if name == "电话":
        return "1" + draw.choice("3456789") + digits(draw, 9)
    if name == "订单号":
        return draw.choice(("", "DD", "JD", "NO")) + digits(draw, draw.choice((8, 10, 12)))
    if name == "金额":
        amount = draw.choice((draw.randint(5, 999), draw.randint(1000, 99_999)))
        return draw.choice(
            (f"{amount}元", f"¥{amount:,}.{digits(draw, 2)}", f"{amount / 10:g}万元", f"人民币{amount}元")
        )
    if name == "日期":
        year, month, day = draw.randint(2019, 2026), draw.randint(1, 12), draw.randint(1, 28)
        return draw.choice(
            (
                f"{year}年{month}月{day}日",
                f"{month}月{day}日",
                f"{year}-{month:02d}-{day:02d}",
                f"{month}月{day}号",
            )
        )
    if name == "公司":
        return draw.choice(("", "", *_CITIES))[:2] + draw.choice(_FIRMS) + draw.choice(_TRADES)
    return (
        draw.choice(_CITIES)
        + draw.choice(_ROADS)
        + str(draw.randint(1, 300))
        + draw.choice(("号", f"号{draw.randint(1, 30)}栋{draw.randint(101, 2905)}室"))
    )
