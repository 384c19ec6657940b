"""The section `recommend`: columns of events and items, and what happens to a list after it is ranked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from rung.core.spec.data import Section, as_tuple

MAX_K = 1_000


class ItemsSpec(Section):
    """The table of items. Without one, items are known by their ids alone."""

    path: str = Field(min_length=1, description="file of items; accepts what `data.path` accepts")
    item: str = Field(default="item", min_length=1, description="column of the item's id")
    title: str | None = Field(default=None, description="column of the item's name, as people know it")
    text: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), description="columns that say what an item is, for new and rare ones"
    )
    image: str | None = Field(
        default=None,
        description="column of the item's picture: a file beside the table or below the product's folder, or the bytes themselves",
    )
    categories: str | None = Field(
        default=None, description="column of the item's categories, several with a mark between them"
    )
    separator: str | None = Field(
        default=None,
        min_length=1,
        max_length=5,
        description="mark between categories; default: | or ; where cells have one, else the whole cell is one",
    )
    price: str | None = Field(default=None, description="column of the item's price")
    added: str | None = Field(
        default=None, description="column of when an item came: a date, a year or a number of seconds"
    )
    available: str | None = Field(
        default=None, description="column of yes and no; items that are not available are never suggested"
    )


class UsersSpec(Section):
    """The table of users: what is known of them, as far as it may choose what they see. Without one, nothing is."""

    path: str = Field(min_length=1, description="file of users; accepts what `data.path` accepts")
    user: str = Field(default="user", min_length=1, description="column of the user's id")
    columns: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        min_length=1,
        max_length=20,
        description="columns that may choose what is popular, such as country or age group",
    )


class ImpressionsSpec(Section):
    """The table of what was shown, a row for each item shown: clicked or not, where it stood, how likely it was to stand there."""

    path: str = Field(min_length=1, description="file of impressions; accepts what `data.path` accepts")
    item: str = Field(default="item", min_length=1, description="column of the item's id")
    clicked: str = Field(default="clicked", min_length=1, description="column of yes and no")
    position: str | None = Field(default=None, description="column of the place in the list, from 1")
    propensity: str | None = Field(
        default=None,
        description="column of the probability with which the item was shown there, above 0 and at most 1",
    )


class RankingSpec(Section):
    """What happens to every list after it is ranked. A request's `context` may change all of it."""

    block: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=10_000, description="ids of items that are never suggested"
    )
    pin: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(), max_length=20, description="ids of items that stand first, in this order, unless seen"
    )
    most_per_category: int | None = Field(
        default=None, ge=1, le=MAX_K, description="items of one category in a list, at most"
    )
    diversity: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="weight of being unlike the items above, by categories (maximal marginal relevance); 0: by score alone",
    )

    freshness: float = Field(
        default=0.0,
        ge=0.0,
        le=1.0,
        description="weight of being new against the score; needs `items.added`; 0: by score alone",
    )
    fresh_days: float = Field(
        default=30.0,
        gt=0.0,
        le=36_500.0,
        description="days after which being new counts half, from the newest item",
    )


class RecommendSpec(Section):
    """Columns of the table of events, and how histories are made of them."""

    user: str = Field(default="user", min_length=1, description="column of the user's id")
    item: str = Field(
        default="item", min_length=1, description="column of the item's id; ids are texts, so 007 is not 7"
    )
    time: str | None = Field(
        default=None,
        description="column of the event's time; default: events happened in the order of the file",
    )
    weight: str | None = Field(
        default=None, description="column of how much an event says: a rating, a number of plays"
    )
    least_weight: float | None = Field(
        default=None,
        description="events of a lower weight are left out, such as bad ratings; default: none is",
    )
    kind: str | None = Field(default=None, description="column of what happened: view, click, buy")
    kinds: dict[str, float] = Field(
        default_factory=dict,
        max_length=100,
        description="weight of each kind; events of other kinds are left out",
    )
    lengths: Annotated[tuple[int, ...], BeforeValidator(as_tuple)] = Field(
        default=(1, 5, 10, 20),
        min_length=1,
        max_length=12,
        description="history lengths to evaluate; four fifths of a user's events is always one more",
    )
    seen: Literal["leave_out", "keep"] = Field(
        default="leave_out",
        description="whether items of the history may be suggested again, as for goods that are bought regularly",
    )
    most_per_hour: int = Field(
        default=1_000,
        ge=1,
        description="events of a user within an hour; a user with more is left out as a bot",
    )
    items: ItemsSpec | None = Field(default=None, description="table of items")
    users: UsersSpec | None = Field(default=None, description="table of users")
    impressions: ImpressionsSpec | None = Field(default=None, description="table of what was shown")
    ranking: RankingSpec = RankingSpec()

    @model_validator(mode="after")
    def _require_consistent(self) -> RecommendSpec:
        columns = {
            "user": self.user,
            "item": self.item,
            "time": self.time,
            "weight": self.weight,
            "kind": self.kind,
        }
        named = [(key, name) for key, name in columns.items() if name is not None]
        for place, (key, name) in enumerate(named):
            for earlier, other in named[:place]:
                if name == other:
                    raise ValueError(f"{key} and {earlier} name the same column '{name}': give it one role")
        if self.ranking.freshness and (self.items is None or self.items.added is None):
            raise ValueError("ranking.freshness needs items.added: the column of when an item came")
        if any(length < 1 for length in self.lengths):
            raise ValueError("lengths must be 1 or more: an empty history is always answered")
        if self.kinds and self.kind is None:
            raise ValueError("kinds has weights, but kind names no column")
        if self.kind is not None and self.weight is not None:
            raise ValueError("kind and weight both say how much an event counts: name one of them")
        if any(weight <= 0 for weight in self.kinds.values()):
            raise ValueError("the weights of kinds must be positive; leave a kind out to ignore its events")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of events that the source must have."""
        return tuple(filter(None, (self.user, self.item, self.time, self.weight, self.kind)))
