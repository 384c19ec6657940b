"""The spec of a product, product.yaml: the only place where what a user writes is checked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rung.core.errors import Problem, SpecError
from rung.core.spec.budget import Budget, Costs, Limits
from rung.core.spec.cleaning import PrivacySpec, Steps
from rung.core.spec.data import CertifySpec, DataSpec, Section, as_tuple
from rung.core.spec.drift import DriftSpec
from rung.core.spec.errors import at_line, in_words
from rung.core.spec.improve import ImproveSpec, JoinedSpec, without_nothing
from rung.core.spec.labelling import LabellingSpec
from rung.core.spec.renamed import warn_of_old_names
from rung.core.spec.rules import RuleSpec
from rung.core.spec.serve import ServeSpec
from rung.core.spec.value import ValueSpec
from rung.core.spec.yaml import MOST_CHARS, Key, read_yaml


class Condition(Section):
    """One condition of the bar."""

    metric: str = Field(
        min_length=1, description="accuracy, macro_f1, f1:<label>, roc_auc:<label>, log_loss, ..."
    )
    at_least: float | None = Field(default=None, allow_inf_nan=False, description="the bound must reach this")
    at_most: float | None = Field(
        default=None, allow_inf_nan=False, description="the bound must not exceed this"
    )
    confidence: float = Field(default=0.95, ge=0.5, le=0.9999, description="of the certificate")

    @model_validator(mode="after")
    def _one_side(self) -> Condition:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give exactly one of at_least and at_most")
        return self

    @property
    def level(self) -> float:
        """Return the number to clear."""
        return self.at_least if self.at_least is not None else float(self.at_most or 0.0)

    @property
    def higher_is_better(self) -> bool:
        return self.at_least is not None

    def met_by(self, value: float) -> bool:
        """Return whether a score or bound meets the condition."""
        return value >= self.level if self.higher_is_better else value <= self.level


class RungSpec(Section):
    """A rung named by hand."""

    model: str = Field(min_length=1, description="model family")
    params: dict[str, Any] = Field(default_factory=dict, description="its parameters")
    name: str | None = Field(
        default=None, pattern=r"^[a-z0-9][a-z0-9_-]*$", description="default: the family's name"
    )


class Product(Section):
    """A product: what is wanted, from what data, how good, how cheap."""

    name: str = Field(
        default="product",
        pattern=r"^[\w][\w.-]{0,63}$",
        description="letters, digits, '_', '-', '.'; names the endpoint",
    )
    task: str = Field(min_length=1, description="kind of problem; `rung plan DATA` proposes one")
    data: DataSpec
    bar: Annotated[tuple[Condition, ...], BeforeValidator(as_tuple)] = Field(
        description="condition, or list of conditions, all of which must be met"
    )
    clean: Steps = Field(
        default=None,
        max_length=20,
        description="steps that mend text, in order; default: the safe ones; `[]`: none",
    )
    privacy: PrivacySpec = PrivacySpec()
    certify: CertifySpec = CertifySpec()
    labelling: LabellingSpec | None = Field(
        default=None, description="labels to be given with `rung label`, for data that has none"
    )
    costs: Costs | None = Field(default=None, description="of errors, for a target of two labels")
    limits: Limits = Limits()
    budget: Budget = Budget()
    ladder: tuple[RungSpec, ...] | None = Field(
        default=None, description="rungs to try; default: all that fit"
    )
    rules: Annotated[tuple[RuleSpec, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        max_length=10_000,
        description="answers given by hand, asked in this order before any model",
    )
    repeats: int = Field(
        default=3,
        ge=0,
        description="where many texts repeat: answer one at once that stood so often in the data; 0: never",
    )
    fetch: bool = Field(
        default=False, description="download pretrained weights that rungs of the ladder lack, without asking"
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="the same seed, data and version give the same model"
    )
    prices: str | None = Field(default=None, description="a prices.yaml of yours")
    serve: ServeSpec = ServeSpec()
    drift: DriftSpec = DriftSpec()
    value: ValueSpec | None = Field(default=None, description="what answers are worth, for `rung value`")
    improve: ImproveSpec = ImproveSpec()
    joined: JoinedSpec | None = None

    @field_validator("ladder", mode="before")
    @classmethod
    def _names_or_sections(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return tuple({"model": item} if isinstance(item, str) else item for item in value)

    @model_validator(mode="after")
    def _possible(self) -> Product:
        found = _impossible(self.model_dump())
        if found:
            raise ValueError("; ".join(f"{item.key}: {item.problem} {item.fix}" for item in found))
        return self

    @property
    def confidence(self) -> float:
        return self.bar[0].confidence

    def fingerprint(self) -> str:
        """Return a hash of everything the spec says of the model: a run folder belongs to one."""
        said = self.model_dump(mode="json", exclude={"serve", "drift", "value", "improve"})
        text = json.dumps(without_nothing(said), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def shown(self) -> dict[str, Any]:
        """Return the spec as a run folder keeps it: without the address of a webhook, which may be a secret."""
        said = self.model_dump(mode="json", exclude_none=True)
        said["drift"].pop("webhook", None)
        return said


class Located(NamedTuple):
    """A product that comes from no file, and the folder its relative paths start from."""

    product: Product
    base: Path


def load_product(path: Path) -> tuple[Product, Path]:
    """Return the product a file specifies and the folder its relative paths start from.

    Raises SpecError with every problem found, each with its line.
    """
    path = _spec_file(path)
    where = path.name
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARS + 1)
    except FileNotFoundError:
        raise SpecError([Problem(0, str(path), "there is no such file.")], where) from None
    except UnicodeDecodeError:
        raise SpecError([Problem(0, str(path), "is not UTF-8 text.", "Save it as UTF-8.")], where) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError([Problem(0, str(path), f"cannot be read: {reason}.")], where) from None
    return parse_product(text, where, default_name=safe_name(_stem(path))), path.resolve().parent


@contextmanager
def naming_lines(path: Path | None) -> Iterator[None]:
    """Give the problems that only data shows the line of their key in the spec they come from; None: no file."""
    try:
        yield
    except SpecError as error:
        if path is None:
            raise
        path = _spec_file(path)
        _, lines, _ = read_yaml(path.read_text(encoding="utf-8-sig"), path.name)
        raise SpecError([at_line(problem, lines) for problem in error.problems], path.name) from None


def _spec_file(path: Path) -> Path:
    return path / "product.yaml" if path.is_dir() else path


def parse_product(text: str, where: str = "product.yaml", default_name: str = "product") -> Product:
    """Return the product a YAML text specifies; raises SpecError with every problem found."""
    raw, lines, problems = read_yaml(text, where)
    raw.setdefault("name", default_name)
    warn_of_old_names(raw, where, lines)
    return check_product(raw, where, lines, problems)


def check_product(
    raw: dict[str, Any],
    where: str = "product.yaml",
    lines: Mapping[Key, int] | None = None,
    problems: Sequence[Problem] = (),
) -> Product:
    """Return the product of a spec's values; raises SpecError with every problem found, those known before first.

    lines: the line of each key.
    """
    lines, problems = lines or {}, list(problems)
    try:
        product = Product.model_validate(raw)
    except ValidationError as error:
        # What does not go together shows only when all else is right: ask for it, so that all is said at once.
        found = [item for item in error.errors(include_url=False) if item["loc"]]
        more = [
            *(in_words(item, lines, _known_keys) for item in found),
            *(at_line(p, lines) for p in _impossible(raw)),
        ]
        problems.extend(p for p in dict.fromkeys(more) if p not in problems)
        raise SpecError(sorted(problems, key=lambda p: p.line), where) from None
    if problems:
        raise SpecError(problems, where)
    return product


def _impossible(raw: Mapping[str, Any]) -> list[Problem]:
    """Return which values do not go together, by dotted key; takes a spec that may have other faults."""
    found: list[tuple[str, str, str]] = []
    data = raw.get("data")
    if isinstance(data, Mapping):
        inputs = list(as_tuple(data.get("input", "text")))
        for name in [name for i, name in enumerate(inputs) if name in inputs[:i]][:1]:
            found.append(("data.input", f"names the column '{name}' twice.", "Keep one."))
        roles = {key: data.get(key) for key in ("target", "group", "time")}
        roles["target"] = data.get("target", "label")
        for key, name in roles.items():
            if name is not None and name in inputs:
                found.append((f"data.{key}", f"the column '{name}' is an input too.", "Give it one role."))
        if roles["group"] is not None and roles["group"] == roles["target"]:
            found.append(
                ("data.group", f"the column '{roles['group']}' is the target too.", "Give it one role.")
            )
    bar = raw.get("bar")
    conditions = [item for item in as_tuple(bar) if isinstance(item, Mapping)]
    if isinstance(bar, list | tuple) and not bar:
        found.append(("bar", "needs at least one condition.", "Such as {metric: accuracy, at_least: 0.9}."))
    if any(item.get("confidence", 0.95) != conditions[0].get("confidence", 0.95) for item in conditions):
        found.append(("bar", "its conditions differ in confidence.", "Give all of them the same."))
    for index, item in enumerate(conditions):
        found.extend(_out_of_range(item, "bar" if isinstance(bar, Mapping) else f"bar.{index}"))
    ladder = raw.get("ladder") if isinstance(raw.get("ladder"), list | tuple) else ()
    names = [
        item.get("name") or item.get("model") if isinstance(item, Mapping) else item for item in ladder or ()
    ]
    for name in [name for i, name in enumerate(names) if name in names[:i]][:1]:
        found.append(("ladder", f"two rungs are called '{name}'.", "Give each its own `name`."))
    return [Problem(0, *item) for item in found]


def _out_of_range(condition: Mapping[str, Any], place: str) -> list[tuple[str, str, str]]:
    """Return the levels of a condition that a share, which lies between 0 and 1, never has."""
    metric = str(condition.get("metric"))
    if metric not in {"accuracy", "macro_f1"} and not metric.startswith(("f1:", "roc_auc:")):
        return []
    found = []
    for key in ("at_least", "at_most"):
        level = condition.get(key)
        if isinstance(level, int | float) and (level < 0 or level > 1):
            fix = f"Write {level / 100:g}." if 1 < level <= 100 else "Choose a number between 0 and 1."
            found.append((f"{place}.{key}", f"{metric} lies between 0 and 1, not at {level:g}.", fix))
    return found


def _stem(path: Path) -> str:
    """Return what a product is called when it does not say: its file's name, or its folder's."""
    return path.resolve().parent.name if path.stem == "product" else path.stem


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterable[tuple[str, str, str, str]]:
    """Yield (dotted key, type, default, description) of every key; the reference page is made from it."""
    for name, info in section.model_fields.items():
        inner = _section_in(info.annotation)
        note = (
            info.description or (inner.__doc__ or "").strip().splitlines()[0]
            if inner or info.description
            else ""
        )
        value = info.get_default(call_default_factory=True, validated_data={})
        default = "required" if info.is_required() else "" if inner else json.dumps(value, default=str)
        yield f"{prefix}{name}", _type_words(info.annotation), default, note
        if inner:
            yield from keys_of(inner, f"{prefix}{name}.")


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _section_in(part)
        if found:
            return found
    return None


def _type_words(annotation: Any) -> str:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return "section"
    words = annotation.__name__ if type(annotation) is type else str(annotation)
    if "Literal[" in words:
        return " or ".join(part.strip(" '") for part in words.split("Literal[")[1].split("]")[0].split(","))
    for old, new in (
        ("typing.", ""),
        ("rung.core.spec.product.", ""),
        ("rung.core.spec.cleaning.", ""),
        (" | None", ""),
        ("NoneType", ""),
        ("Optional", ""),
    ):
        words = words.replace(old, new)
    for old, new in (
        ("tuple[Condition, ...]", "Condition or list"),
        ("str | tuple[str, ...]", "str or list"),
        ("tuple[str, ...]", "str or list"),
        (" | ", " or "),
    ):
        words = words.replace(old, new)
    return words


def _known_keys(key: Key) -> list[str]:
    section: type[BaseModel] = Product
    for part in key:
        if isinstance(part, int):
            continue
        info = section.model_fields.get(part)
        section = (_section_in(info.annotation) if info else None) or section
    return list(section.model_fields)


def safe_name(text: str) -> str:
    """Return a text as a product's name: letters, digits, '_', '-' and '.', at most 64."""
    safe = "".join(char if char.isalnum() or char in "_.-" else "-" for char in text).strip("-.")
    return safe[:64] or "product"
