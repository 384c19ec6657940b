"""The specification of a product, product.yaml: its sections, their validation and the reference of all keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from rung.core.errors import Problem, SpecError
from rung.core.names import problem_of_name
from rung.core.spec.bar import Condition, out_of_range
from rung.core.spec.budget import Budget, Costs, Limits
from rung.core.spec.cascade import CascadeSpec
from rung.core.spec.cleaning import PrivacySpec, Steps
from rung.core.spec.compress import CompressSpec
from rung.core.spec.data import CertifySpec, DataSpec, Section, as_tuple
from rung.core.spec.drift import DriftSpec
from rung.core.spec.errors import to_problem, with_line
from rung.core.spec.improve import ImproveSpec, JoinedSpec, drop_absent_sections
from rung.core.spec.labelling import LabellingSpec
from rung.core.spec.recommend import RecommendSpec
from rung.core.spec.renamed import warn_of_old_names
from rung.core.spec.rules import RuleSpec
from rung.core.spec.serve import ServeSpec
from rung.core.spec.value import ValueSpec
from rung.core.spec.writing import WritingSpec
from rung.core.spec.yaml import MAX_CHARS, Key, read_yaml

# Sections and keys that change no model.
_NOT_OF_THE_MODEL = ("serve", "drift", "value", "improve", "engine", "compress")


class RungSpec(Section):
    """A rung listed explicitly."""

    model: str = Field(min_length=1, description="model family")
    params: dict[str, Any] = Field(default_factory=dict, description="parameters of the family")
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9_-]*$",
        description="name of the rung; default: the family's name",
    )


class Product(Section):
    """A product: task, data, bar, limits and serving."""

    name: str = Field(
        default="product",
        pattern=r"^[\w][\w.-]{0,63}$",
        description="letters, digits, '_', '-', '.'; part of the endpoint's path",
    )
    task: str = Field(min_length=1, description="task; `rung plan DATA` proposes one")
    data: DataSpec
    bar: Annotated[tuple[Condition, ...], BeforeValidator(as_tuple)] = Field(
        description="a condition, or a list of conditions that must all be met"
    )
    clean: Steps = Field(
        default=None,
        max_length=20,
        description="text cleaning steps, in order; default: the safe ones; `[]`: none",
    )
    privacy: PrivacySpec = PrivacySpec()
    certify: CertifySpec = CertifySpec()
    labelling: LabellingSpec | None = Field(
        default=None, description="settings of `rung label`, for data without labels"
    )
    costs: Costs | None = Field(default=None, description="costs of errors, for a target of two labels")
    limits: Limits = Limits()
    budget: Budget = Budget()
    ladder: tuple[RungSpec, ...] | None = Field(
        default=None, description="rungs to try; default: all that fit the task"
    )
    cascade: CascadeSpec | None = Field(
        default=None, description="a further rung: models in a row, each handing on what it is not sure of"
    )
    recommend: RecommendSpec | None = Field(
        default=None, description="columns of events and items, and rules of lists, for recommendation"
    )
    writing: WritingSpec | None = Field(
        default=None, description="conditions and steps of written texts, for text_generation"
    )
    rules: Annotated[tuple[RuleSpec, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        max_length=10_000,
        description="rules that answer before any model, in this order",
    )
    repeats: int = Field(
        default=3,
        ge=0,
        description="answer a text by lookup if it occurs at least this often in the data, where many texts repeat; 0: never",
    )
    fetch: bool = Field(
        default=False, description="download pretrained weights that rungs of the ladder lack, without asking"
    )
    engine: str = Field(
        default="local",
        pattern=r"^(local|ray|ray://[\w.\-]+:\d{1,5})$",
        description="where fits run: `local`; `ray`: the cluster of RAY_ADDRESS, or Ray started here; `ray://HOST:PORT`; needs `rung[ray]`",
    )
    accept: Annotated[tuple[str, ...], BeforeValidator(as_tuple)] = Field(
        default=(),
        max_length=1_000,
        description="findings of level stop that are right as they are, `check:column` or `check`, such as `leak_column:refund_amount`; any other one keeps a build from being certified",
    )
    seed: int = Field(
        default=0, ge=0, lt=2**31, description="the same seed, data and version give the same model"
    )
    prices: str | None = Field(default=None, description="path of your own prices.yaml")
    serve: ServeSpec = ServeSpec()
    drift: DriftSpec = DriftSpec()
    value: ValueSpec | None = Field(default=None, description="value of predictions, for `rung value`")
    improve: ImproveSpec = ImproveSpec()
    compress: CompressSpec | None = Field(default=None, description="a smaller version of the winner")
    joined: JoinedSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _group_by_user(cls, raw: Any) -> Any:
        """Make the users of events the groups, where the spec names none: a user stays on one side of the split."""
        section, data = (raw.get(key) if isinstance(raw, dict) else None for key in ("recommend", "data"))
        if not isinstance(section, dict) or not isinstance(data, dict) or data.get("group") is not None:
            return raw
        return {**raw, "data": {**data, "group": section.get("user", "user")}}

    @field_validator("name")
    @classmethod
    def _require_plain_name(cls, value: str) -> str:
        if problem := problem_of_name(value):
            raise ValueError(problem)
        return value

    @field_validator("ladder", mode="before")
    @classmethod
    def _names_or_sections(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        return tuple({"model": item} if isinstance(item, str) else item for item in value)

    @model_validator(mode="after")
    def _require_consistent(self) -> Product:
        found = _contradictions(self.model_dump())
        if found:
            raise ValueError("; ".join(f"{item.key}: {item.problem} {item.fix}" for item in found))
        return self

    @property
    def confidence(self) -> float:
        return self.bar[0].confidence

    def fingerprint(self) -> str:
        """Return a hash of everything in the spec that affects the model; a run folder belongs to one fingerprint.

        What services may charge is no part of it: a build that ran out of budget resumes with a larger one. Nor is the
        engine, nor how many fits run at a time: all give the same model.
        """
        excluded: dict[str, Any] = dict.fromkeys(_NOT_OF_THE_MODEL, True)
        spec = self.model_dump(mode="json", exclude={**excluded, "budget": {"usd", "workers", "ahead"}})
        text = json.dumps(drop_absent_sections(spec), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def shown(self) -> dict[str, Any]:
        """Return the spec as stored in a run folder: without the webhook's address, which may be a secret."""
        spec = self.model_dump(mode="json", exclude_none=True)
        spec["drift"].pop("webhook", None)
        return spec


class Located(NamedTuple):
    """A product that is not read from a file, and the base folder of its relative paths."""

    product: Product
    base: Path


def load_product(path: Path) -> tuple[Product, Path]:
    """Return the product specified by a file, and the base folder of its relative paths.

    Raises SpecError with every problem found, each with its line.
    """
    path = _spec_file(path)
    where = path.name
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_CHARS + 1)
    except FileNotFoundError:
        raise SpecError([Problem(0, str(path), "there is no such file.")], where) from None
    except UnicodeDecodeError:
        raise SpecError([Problem(0, str(path), "is not UTF-8 text.", "Save it as UTF-8.")], where) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SpecError([Problem(0, str(path), f"cannot be read: {reason}.")], where) from None
    return parse_product(text, where, default_name=safe_name(_default_name(path))), path.resolve().parent


@contextmanager
def locate_problems(path: Path | None) -> Iterator[None]:
    """Add line numbers to spec problems that are found only with the data. path: of the spec; None for no file."""
    try:
        yield
    except SpecError as error:
        if path is None:
            raise
        path = _spec_file(path)
        _, lines, _ = read_yaml(path.read_text(encoding="utf-8-sig"), path.name)
        raise SpecError([with_line(problem, lines) for problem in error.problems], path.name) from None


def _spec_file(path: Path) -> Path:
    return path / "product.yaml" if path.is_dir() else path


def parse_product(text: str, where: str = "product.yaml", default_name: str = "product") -> Product:
    """Return the product specified by a YAML text; raises SpecError with every problem found."""
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
    """Return the product of a spec's values; raises SpecError with every problem found.

    lines: line of each key. problems: found before, reported with the others.
    """
    lines, problems = lines or {}, list(problems)
    try:
        product = Product.model_validate(raw)
    except ValidationError as error:
        # Contradictions are checked by the model only when everything else is valid: check them here too, to report all at once.
        found = [item for item in error.errors(include_url=False) if item["loc"]]
        more = [
            *(to_problem(item, lines, _section_keys) for item in found),
            *(with_line(p, lines) for p in _contradictions(raw)),
        ]
        problems.extend(p for p in dict.fromkeys(more) if p not in problems)
        raise SpecError(sorted(problems, key=lambda p: p.line), where) from None
    if problems:
        raise SpecError(problems, where)
    return product


def _contradictions(raw: Mapping[str, Any]) -> list[Problem]:
    """Return contradictions between values, by dotted key; the spec may have other errors."""
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
                found.append((f"data.{key}", f"the column '{name}' is also an input.", "Give it one role."))
        if roles["group"] is not None and roles["group"] == roles["target"]:
            found.append(
                ("data.group", f"the column '{roles['group']}' is also the target.", "Give it one role.")
            )
    bar = raw.get("bar")
    conditions = [item for item in as_tuple(bar) if isinstance(item, Mapping)]
    if isinstance(bar, list | tuple) and not bar:
        found.append(("bar", "needs at least one condition.", "Such as {metric: accuracy, at_least: 0.9}."))
    if any(item.get("confidence", 0.95) != conditions[0].get("confidence", 0.95) for item in conditions):
        found.append(("bar", "its conditions have different confidence levels.", "Use one for all."))
    for index, item in enumerate(conditions):
        found.extend(out_of_range(item, "bar" if isinstance(bar, Mapping) else f"bar.{index}"))
    ladder = raw.get("ladder") if isinstance(raw.get("ladder"), list | tuple) else ()
    names = [
        item.get("name") or item.get("model") if isinstance(item, Mapping) else item for item in ladder or ()
    ]
    for name in [name for i, name in enumerate(names) if name in names[:i]][:1]:
        found.append(("ladder", f"two rungs are called '{name}'.", "Give each its own `name`."))
    return [Problem(0, *item) for item in found]


def _default_name(path: Path) -> str:
    """Return the default name of a product: its file's name, or its folder's for product.yaml."""
    return path.resolve().parent.name if path.stem == "product" else path.stem


def iter_keys(section: type[BaseModel], prefix: str = "") -> Iterable[tuple[str, str, str, str]]:
    """Yield (dotted key, type, default, description) of every key, for the reference page."""
    for name, info in section.model_fields.items():
        inner = _section_in(info.annotation)
        note = info.description or ((inner.__doc__ or "").strip().splitlines()[0] if inner else "")
        value = info.get_default(call_default_factory=True, validated_data={})
        default = "required" if info.is_required() else "" if inner else json.dumps(value, default=str)
        yield f"{prefix}{name}", _type_name(info.annotation), default, note
        if inner:
            yield from iter_keys(inner, f"{prefix}{name}.")


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _section_in(part)
        if found:
            return found
    return None


def _type_name(annotation: Any) -> str:
    """Return a key's type as the reference page shows it: section, str or list, int, one of several words."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_name(args[0])
    if origin is Literal:
        return " or ".join(map(str, args))
    if origin in {Union, UnionType}:
        names = [name for part in args if part is not type(None) for name in _type_name(part).split(" or ")]
        return " or ".join(dict.fromkeys(names))
    if origin is tuple:
        return f"{_type_name(args[0])} or list"
    if origin is dict:
        return "mapping"
    is_section = isinstance(annotation, type) and issubclass(annotation, Section)
    return "section" if is_section else getattr(annotation, "__name__", "any")


def _section_keys(key: Key) -> list[str]:
    section: type[BaseModel] = Product
    for part in key:
        if isinstance(part, int):
            continue
        info = section.model_fields.get(part)
        section = (_section_in(info.annotation) if info else None) or section
    return list(section.model_fields)


def safe_name(text: str) -> str:
    """Return a text as a valid product name: letters, digits, '_', '-' and '.', at most 64."""
    safe = "".join(char if char.isalnum() or char in "_.-" else "-" for char in text).strip("-.")
    return safe[:64] or "product"
