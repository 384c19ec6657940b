"""Phone numbers: Chinese mobile and landline numbers, and numbers of any country in common notations.

Runs of digits joined by blanks, hyphens, dots, brackets or slashes are treated as groups. Some shapes are
always phone numbers; others only next to keywords ("call me on", "拨打").
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

_DIGITS = re.compile(r"[0-9]+")
_SEPARATOR = re.compile(r"[-. ()/]{1,3}\Z")
_MAX_GROUPS = 7
_CHARS_BEFORE, _AFTER = 48, 14
_KEYWORDS = re.compile(
    r"\b(?:(?:tele)?phones?|tel|mobiles?|cell(?:phone)?|call(?:s|ed|ing)?|fax|contact|reach|dial(?:led|ed)?|ring|rang|"
    r"text(?:ed)?|sms|messages?|whatsapp|telegram|answering|answers|voicemail|hotline|helpline|desk|landline|office|"
    r"extension|callback)\b"
    r"|电话|手机|電話|手機|联系|致电|拨打|拨号|打给|来电|回电|座机|固话|热线|传真|短信|微信|客服|总机|分机",
    re.IGNORECASE,
)
_KEYWORDS_AFTER = re.compile(
    r"[-(\t ]{0,3}(?:office|fax|mobile|cell|home|work|desk|phone|tel|direct|landline|(?:是我)?的?(?:电话|手机|号码)|打不通|联系|找)",
    re.IGNORECASE,
)
# The nearest keyword decides: "call about order 4839201745".
_OTHER_KEYWORDS = re.compile(
    r"\b(?:order|invoice|account|acct|card|iban|ssn|social security|zip|postcode|postal|case|ticket|ref(?:erence)?|"
    r"serial|tracking|isbn|sku|model|part|license|licence|passport|policy|year|amount|price|total|id|version|port|"
    r"built|population|chapter)\b"
    r"|订单|单号|账号|帐号|卡号|运单|快递|编号|型号|序列号|邮编|身份证|发票|工单|金额|价格|余额|版本|年份|尾号|验证码|"
    r"积分|货号|批次|书号|条码|[Qq]{2}",
    re.IGNORECASE,
)
_OTHER_KEYWORDS_AFTER = re.compile(
    r"\s?(?:是|为)?(?:我|你|您|本)?的?(?:订单|单号|编号|账号|卡号|运单|[Qq]{2})"
)
_UNIT = re.compile(
    r"\s?(?:[%‰°$€£¥￥]|元|块|万|亿|千|美|年|月|日|天|个|人|次|条|件|台|分钟|小时|秒|公里|米|克|吨|号楼|号店|"
    r"(?:km|kg|mm|cm|mb|gb|tb|usd|eur|rmb|dollars?|euros?|pounds?|miles|years|people|points|pages)\b)",
    re.IGNORECASE,
)
_EXTENSION = re.compile(r"\s?(?:x|ext\.?|extension|转|分机)\s?[0-9]{1,6}(?![0-9A-Za-z])", re.IGNORECASE)
# Two letters and two digits start an IBAN: DE89 3704 0044 0532 0130 00.
_IBAN = re.compile(r"(?<![A-Za-z])[A-Z]{2}\Z")
_TRUSTED_LETTERS = re.compile(
    r"(?:tel|phone|mobile|mob|cell|fax|call|ph|[^A-Za-z]t|[^A-Za-z]m)\Z", re.IGNORECASE
)


@dataclass(frozen=True)
class _Window:
    """Consecutive groups of digits and the separators between them. lead: + or bracket before the first
    group.
    """

    groups: tuple[str, ...]
    gaps: tuple[str, ...]
    lead: str

    @property
    def digits(self) -> str:
        return "".join(self.groups)

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.groups))


def find(text: str) -> Iterator[tuple[int, int]]:
    """Yield [start, end) of each number, including its + or bracket and its extension."""
    keywords = _Keywords(text)
    for chain in _chains(text):
        if _IBAN.search(text[max(chain[0][0] - 3, 0) : chain[0][0]]) and chain[0][1] - chain[0][0] == 2:
            continue
        first = 0
        while first < len(chain):
            found = _longest(text, chain, first, keywords)
            if found is None:
                first += 1
                continue
            last, start, end = found
            extension = _EXTENSION.match(text, end)
            yield start, extension.end() if extension else end
            first = last + 1


def _chains(text: str) -> Iterator[list[tuple[int, int]]]:
    """Yield runs of digit groups with only separators between them."""
    chain: list[tuple[int, int]] = []
    for found in _DIGITS.finditer(text):
        if chain and not (
            found.start() - chain[-1][1] <= 3 and _SEPARATOR.match(text[chain[-1][1] : found.start()])
        ):
            yield chain
            chain = []
        chain.append(found.span())
    if chain:
        yield chain


def _longest(
    text: str, chain: list[tuple[int, int]], first: int, keywords: _Keywords
) -> tuple[int, int, int] | None:
    """Return (last group, start, end) of the longest number that starts with this group; unambiguous shapes
    first.
    """
    start = chain[first][0]
    lead_at = start
    while lead_at > max(start - 2, 0) and text[lead_at - 1] in "+(":
        lead_at -= 1
    if not _may_begin(text, lead_at):
        return None
    windows = _windows(text, chain, first, text[lead_at:start])
    for last, window in reversed(windows):
        if _is_unambiguous(window):
            return last, lead_at, chain[last][1]
    is_announced = bool(windows) and keywords.announce_phone(lead_at)
    for last, window in reversed(windows):
        end = chain[last][1]
        announced = (is_announced and not _OTHER_KEYWORDS_AFTER.match(text, end)) or _KEYWORDS_AFTER.match(
            text, end
        )
        if announced and _is_likely(window) and not _UNIT.match(text, end):
            return last, lead_at, end
    return None


def _windows(text: str, chain: list[tuple[int, int]], first: int, lead: str) -> list[tuple[int, _Window]]:
    """Return the runs of groups starting here that could be a number, each with its last group."""
    found: list[tuple[int, _Window]] = []
    count = 0
    for last in range(first, min(first + _MAX_GROUPS, len(chain))):
        size = chain[last][1] - chain[last][0]
        count += size
        # Only after a + can a number contain a group of one digit: +46 (0)8.
        if count > 16 or (size == 1 and last > first and "+" not in lead):
            break
        if count >= 6 and _may_end(text, *chain[last]):
            groups = tuple(text[a:b] for a, b in chain[first : last + 1])
            gaps = tuple(text[chain[i][1] : chain[i + 1][0]] for i in range(first, last))
            found.append((last, _Window(groups, gaps, lead)))
    return found


def _may_begin(text: str, at: int) -> bool:
    before = text[at - 1 : at]
    if not before or not (before.isascii() and (before.isalnum() or before in "_=&#@$.,\\~^")):
        return not (before and before in "¥￥€£")
    if before.isalpha():
        return _TRUSTED_LETTERS.search(text[max(at - 8, 0) : at]) is not None
    # A decimal number or a list continues to the left; a full stop ends a sentence.
    return before in "=#." and not text[max(at - 2, 0) : at - 1].isdigit()


def _may_end(text: str, begin: int, at: int) -> bool:
    after = text[at : at + 1]
    if not after or not after.isascii():
        return True
    if after.isalnum() or after in "_@%":
        return _EXTENSION.match(text, at) is not None
    # 1,234,567 and 10:30 continue; a list of numbers separated by commas does not.
    return not (after in ",:" and at - begin <= 3 and text[at + 1 : at + 2].isdigit())


def _is_unambiguous(w: _Window) -> bool:
    """Return whether the shape alone identifies a phone number."""
    return len(w.digits) >= 7 and _has_shape(w) and not _has_date(w)


def _has_shape(w: _Window) -> bool:
    digits, sizes, count = w.digits, w.sizes, len(w.digits)
    if "+" in w.lead:
        return 8 <= count <= 15
    bare = (
        digits[4:]
        if digits.startswith("0086")
        else digits[2:]
        if digits.startswith("86") and count == 13
        else digits
    )
    if re.fullmatch(r"1[3-9][0-9]{9}", bare) and len(set(bare)) > 2 and len(sizes) <= 4 and sizes[-1] >= 4:
        return (
            len(sizes) == 1
            or sizes[-3:] in {(3, 4, 4), (2, 3, 4)}
            or sizes[-2:] in {(3, 8), (2, 11), (4, 11)}
            or sizes[-1] == 11
        )
    if w.groups[0] in {"00", "001", "0086", "0044"} or (
        w.groups[0].startswith("00") and sizes[0] <= 5 and len(sizes) > 1
    ):
        return 10 <= count <= 16
    if len(sizes) >= 2 and "(" in w.lead and w.gaps[0].startswith(")"):
        return 1 <= sizes[0] <= 5 and 7 <= count <= 12 and sizes[1] >= 3 and len(sizes) <= 5
    if len(sizes) < 2 or any(gap.strip("-. ") for gap in w.gaps):
        return False
    if len(set(w.gaps)) > 1 and sizes[0] != 1:
        return False
    american = sizes[-3:] == (3, 3, 4) and (len(sizes) == 3 or (len(sizes) == 4 and w.groups[0] == "1"))
    service = w.groups[0] in {"400", "800"} and count == 10
    return american or service or _has_trunk_zero(w)


def _has_trunk_zero(w: _Window) -> bool:
    """Return whether it starts with the trunk prefix 0: 010-65521234, 01 23 45 67 89, 07700 900123."""
    digits, sizes = w.digits, w.sizes
    if not digits.startswith("0") or digits.startswith("00") or not 9 <= len(digits) <= 12 or sizes[0] < 2:
        return False
    if w.gaps[0] == "." and len(sizes) == 2:
        return False
    return sizes[-1] >= 2 and len(set(digits)) > 2


def _is_likely(w: _Window) -> bool:
    """Return whether it is a phone number if keywords announce one."""
    count, sizes = len(w.digits), w.sizes
    if not 6 <= count <= 13 or len(sizes) > 5:
        return False
    if len(sizes) == 1:
        return count >= 7
    if any("/" in gap for gap in w.gaps) or (w.gaps[0] == "." and set(sizes[1:]) == {3} and sizes[0] < 3):
        return False
    return min(sizes[1:]) >= 2 and len({gap.strip("()") for gap in w.gaps}) <= 2 and not _has_date(w)


def _has_date(w: _Window) -> bool:
    for i in range(len(w.groups) - 2):
        a, b, c = (int(group) if len(group) <= 4 else 9999 for group in w.groups[i : i + 3])
        if w.gaps[i] == w.gaps[i + 1] and w.gaps[i] in {"-", ".", "/"}:
            day_first = a <= 31 and b <= 31 and 1900 <= c <= 2100 and len(w.groups[i + 2]) == 4
            year_first = len(w.groups[i]) == 4 and 1900 <= a <= 2100 and 1 <= b <= 12 and 1 <= c <= 31
            if (day_first and min(a, b) <= 12) or year_first:
                return True
    return (
        len(w.groups) == 2
        and all(1900 <= int(g) <= 2100 for g in w.groups if len(g) == 4)
        and w.sizes == (4, 4)
    )


class _Keywords:
    """Positions of keywords that announce a phone number, and of those that announce another kind of number."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._phone_positions: list[int] | None = None
        self._other_positions: list[int] = []

    def announce_phone(self, start: int) -> bool:
        """Return whether the nearest keyword before this position announces a phone number."""
        if self._phone_positions is None:
            self._phone_positions = [found.start() for found in _KEYWORDS.finditer(self._text)]
            if self._phone_positions:
                self._other_positions = [found.start() for found in _OTHER_KEYWORDS.finditer(self._text)]
        says = _last_before(self._phone_positions, start)
        return says >= max(start - _CHARS_BEFORE, 0) and says > _last_before(self._other_positions, start)


def _last_before(places: list[int], start: int) -> int:
    at = bisect_left(places, start)
    return places[at - 1] if at else -1
