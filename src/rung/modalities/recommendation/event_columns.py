"""Recognise a table of events: which column is the user, which the item, and which the time."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rung.core.task import ColumnProfile, Guess

_USER = re.compile(
    r"^(?:user|customer|client|visitor|member|account|session|buyer|reader|listener|用户|客户|会员|顾客)(?:[_ ]?(?:id|name|编号|号))?$",
    re.I,
)
_ITEM = re.compile(
    r"^(?:item|product|movie|film|book|song|track|artist|article|news|video|ad|advert|sku|good|goods|isbn|asin|商品|物品|电影|影片|图书|歌曲|文章|新闻|广告|产品)(?:[_ ]?(?:id|name|编号|号))?$",
    re.I,
)
_TIME = re.compile(
    r"^(?:time|timestamp|date|datetime|created(?:_at)?|at|ts|when|event_time|时间|日期|时间戳)$", re.I
)
_WEIGHT = re.compile(
    r"^(?:rating|ratings|stars|score|plays|playcount|count|weight|评分|评级|播放次数|权重)$", re.I
)
_KIND = re.compile(r"^(?:event|event_type|type|action|kind|behavior|behaviour|行为|事件|类型)$", re.I)
# Events of a user, and of an item, on average, for a table of few names to be one of events.
_LEAST_REPEATS = 1.5


def guess_columns(
    task: str, columns: Sequence[ColumnProfile], rows: int, inputs: tuple[str, ...], target: str
) -> Guess | None:
    """Return how a table could be events of users with items; None when it could not."""
    if any(column.role in {"input", "target"} for column in columns):
        return None
    user, item = _find(columns, _USER), _find(columns, _ITEM)
    if user is None or item is None or not (_repeats(user) and _repeats(item)):
        return None
    when, weight, happened = (_find(columns, pattern) for pattern in (_TIME, _WEIGHT, _KIND))
    section: dict[str, object] = {"user": user.name, "item": item.name}
    section |= {"time": when.name} if when is not None else {}
    if weight is not None and weight.numeric >= 0.9:
        section["weight"] = weight.name
    elif happened is not None and happened.distinct <= 100:
        section["kind"] = happened.name
    reasons = (
        f"'{user.name}' and '{item.name}' are called like a user and an item",
        f"{user.filled / max(user.distinct, 1):.1f} events a user, {item.filled / max(item.distinct, 1):.1f} an item",
    )
    return Guess(task, 0.98, inputs, target, reasons, {"recommend": section})


def _find(columns: Sequence[ColumnProfile], pattern: re.Pattern[str]) -> ColumnProfile | None:
    """Return the column whose name says what it is, its prefix of another table and its type mark aside."""
    for column in columns:
        name = column.name.split(":")[0].strip()
        if pattern.match(name) or pattern.match(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)):
            return column
    return None


def _repeats(column: ColumnProfile) -> bool:
    return column.distinct > 1 and column.filled >= _LEAST_REPEATS * column.distinct
