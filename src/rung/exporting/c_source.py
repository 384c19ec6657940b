"""A table model as one file of C99 that needs nothing but the standard library."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

from rung.core.manifest import Manifest
from rung.exporting import c_arrays as c
from rung.exporting.c_fields import CField, fields_of
from rung.exporting.target import ExportRefused, identifier
from rung.modalities.tables.additive import AdditiveModel
from rung.modalities.tables.features import TableFeatures
from rung.modalities.tables.fitted import FittedTable, MemberModel
from rung.modalities.tables.linear import LinearModel
from rung.modalities.tables.tree_ensemble import TreeEnsemble

_TEMPLATES = Path(__file__).parent / "templates" / "c"
_PARTS = ("day", "month", "weekday", "hour")


def require_supported(fitted: FittedTable, where: str) -> None:
    """Raise ExportRefused for a model with parts that C does not have."""
    if fitted.features.texts:
        name = next(iter(fitted.features.texts))
        raise ExportRefused(
            f"the column '{name}' holds free text, which the C file cannot read",
            where,
            "Leave the column out (`data.input`), or export to wheel or browser.",
        )
    for member in fitted.members:
        if not isinstance(member, LinearModel | TreeEnsemble | AdditiveModel):
            raise ExportRefused(
                "the C file holds no networks",
                where,
                "Use linear_table, boosted_trees or stack without networks.",
            )


def c_source(manifest: Manifest, fitted: FittedTable) -> str:
    """Return the text of the file."""
    name, fields = identifier(manifest.name), fields_of(manifest.schema, fitted.features)
    labels = manifest.schema.labels
    outputs = max(len(labels), 1)
    numbers, categories = len(fitted.features.numbers), len(fitted.features.categories)
    has_digests = any(len(found) for found in fitted.features.digests.values())
    parts = [
        _head(manifest, name, fields),
        c.filled(_template("head"), NUMBERS=numbers, CATEGORIES=categories, OUTPUTS=outputs),
        _struct(name, fields, labels),
    ]
    if categories:
        parts += [_template("digest")] if has_digests else []
        parts += [
            c.filled(_template("words"), DIGEST=_template("find_digest").strip() if has_digests else ""),
            _words(fitted.features),
        ]
    if any(part for _, part in fitted.features.numbers):
        parts.append(_template("calendar"))
    parts += _members(fitted.members)
    parts += [_cells(name, fitted.features, fields), _raw(name, fitted)]
    parts += [_labels(name, fitted) if labels else _number(name, fitted), _main(name, fields, len(labels))]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _template(name: str) -> str:
    return (_TEMPLATES / f"{name}.c.txt").read_text(encoding="utf-8")


def _head(manifest: Manifest, name: str, fields: Sequence[CField]) -> str:
    proof = manifest.certificate["claim"] if manifest.certificate else "Not certified."
    lines = [
        f"{manifest.name}, version {manifest.version}, rung {manifest.rung}; written by rung {version('rung')}.",
        proof, "",
        f"Compile: cc -std=c99 -O2 -c {name}.c, and link with -lm. -DRUNG_MAIN makes a program that reads rows; see main.",
        "Numbers are NAN where missing; moments are seconds since 1970, UTC; words are UTF-8 as the server reads them (no blanks around",
        "them, Unicode in form NFKC), NULL or empty where missing. Thread-safe; nothing is allocated.",
    ]  # fmt: skip
    return (
        "/*\n"
        + "\n".join(f" * {line}".rstrip() for text in lines for line in text.replace("*/", "* /").split("\n"))
        + "\n */"
    )


def _struct(name: str, fields: Sequence[CField], labels: Sequence[str]) -> str:
    lines = ["typedef struct {", *(f"  {field.declared} /* {field.shown} */" for field in fields)]
    lines += [] if fields else ["  int unused;"]
    lines += [f"}} {name}_row;", ""]
    if labels:
        lines += [
            f"#define {name}_LABELS {len(labels)}",
            f"extern const char *const {name}_label[{name}_LABELS];",
        ]
        lines += [c.words(f"{name}_label", labels).replace("static ", "", 1), ""]
        lines.append(f"int {name}_predict(const {name}_row *row, double *chances);")
    else:
        lines.append(f"double {name}_predict(const {name}_row *row);")
    return "\n".join(lines) + "\n"


def _words(features: TableFeatures) -> str:
    """Return the tables of known words, and one struct a column."""
    out, columns = [], []
    for place, (name, values) in enumerate(features.categories.items()):
        digests = features.digests[name].tolist()
        known = sorted(
            (value.encode("utf-8", "surrogatepass"), value, code) for code, value in enumerate(values)
        )
        rare = sorted((digest, len(values) + code) for code, digest in enumerate(digests))
        out.append(c.words(f"rung_word_{place}", [value for _, value, _ in known]))
        out.append(c.integers(f"rung_word_code_{place}", [code for *_, code in known]))
        out.append(c.hashes(f"rung_digest_{place}", [digest for digest, _ in rare]))
        out.append(c.integers(f"rung_digest_code_{place}", [code for _, code in rare]))
        columns.append(
            f"{{{c.text(name)}, {len(known)}, rung_word_{place}, rung_word_code_{place}, {len(rare)}, rung_digest_{place}, "
            f"rung_digest_code_{place}, {len(values) + len(digests)}}}"
        )
    return "\n".join([*out, c.array("rung_category ", "rung_column", columns)]) + "\n"


def _members(members: Sequence[MemberModel]) -> list[str]:
    """Return the code of each kind of member once, then each member's constants."""
    out = []
    trees = [member for member in members if isinstance(member, TreeEnsemble)]
    if any(isinstance(member, LinearModel) for member in members):
        out.append(_template("linear"))
    if trees:
        out.append(
            c.filled(_template("trees"), FEATURES=max(len(member.encoding.sources) for member in trees) + 1)
        )
    if any(isinstance(member, AdditiveModel) for member in members):
        out.append(_template("additive"))
    for place, member in enumerate(members):
        if isinstance(member, LinearModel):
            out.append(_linear(place, member))
        elif isinstance(member, TreeEnsemble):
            out.append(_trees(place, member))
        elif isinstance(member, AdditiveModel):
            out.append(_additive(place, member))
    return out


def _linear(place: int, member: LinearModel) -> str:
    design, p = member.design, f"rung_{place}_"
    kept, begin = [], design.dense_width
    for places in design.kept:
        kept.append(np.asarray(places) + begin)
        begin += int(places.max(initial=-1)) + 1
    out = [
        c.doubles(f"{p}fill", design.fill), c.doubles(f"{p}knot", design.knots), c.doubles(f"{p}shift", design.shift),
        c.doubles(f"{p}scale", design.scale), c.doubles(f"{p}bias", member.bias), c.doubles(f"{p}weight", member.weights),
        c.integers(f"{p}gap", design.gaps), *(c.integers(f"{p}kept_{j}", one) for j, one in enumerate(kept)),
        c.pointers("int", f"{p}kept", [f"{p}kept_{j}" for j in range(len(kept))]),
        f"static const rung_linear rung_member_{place} = {{{design.knots.shape[1]}, {len(design.gaps)}, {p}fill, {p}knot, {p}shift, "
        f"{p}scale, {p}bias, {p}weight, {p}gap, {p}kept}};",
    ]  # fmt: skip
    return "\n".join(out)


def _trees(place: int, member: TreeEnsemble) -> str:
    encoding, trees, p = member.encoding, member.trees, f"rung_{place}_"
    stored = trees.arrays()
    shift = "NULL" if encoding.shift is None else f"{p}shift"
    out = [
        c.doubles(f"{p}fill", encoding.fill), *([] if encoding.shift is None else [c.doubles(f"{p}shift", encoding.shift)]),
        c.integers(f"{p}wide", [value.shape[1] for value in encoding.values]),
        *(c.singles(f"{p}word_{j}", value) for j, value in enumerate(encoding.values)),
        c.pointers("float", f"{p}word", [f"{p}word_{j}" for j in range(len(encoding.values))]),
        c.integers(f"{p}root", trees.roots), c.integers(f"{p}output", trees.output), c.integers(f"{p}feature", stored["feature"]),
        c.integers(f"{p}right", stored["right"]), c.singles(f"{p}number", stored["number"]),
        f"static const rung_trees rung_member_{place} = {{{len(trees.roots)}, {trees.outputs}, {p}fill, {shift}, {p}wide, {p}word, "
        f"{p}root, {p}output, {p}feature, {p}right, {p}number}};",
    ]  # fmt: skip
    return "\n".join(out)


def _additive(place: int, member: AdditiveModel) -> str:
    p, out, axes, terms = f"rung_{place}_", [], [], []
    for i, axis in enumerate(member.axes):
        is_number = axis.places.dtype.kind == "f"
        out.append((c.doubles if is_number else c.integers)(f"{p}axis_{i}", axis.places))
        cut, bins = (f"{p}axis_{i}", "NULL") if is_number else ("NULL", f"{p}axis_{i}")
        axes.append(f"{{{axis.column}, {len(axis.places)}, {cut}, {bins}}}")
    for i, term in enumerate(member.terms):
        out.append(c.singles(f"{p}term_{i}", term.table))
        second, size = (term.axes[1], term.table.shape[1]) if len(term.axes) > 1 else (-1, 0)
        terms.append(f"{{{term.axes[0]}, {second}, {size}, {p}term_{i}}}")
    out += [
        c.array("rung_axis ", f"{p}axis", axes or ["{0, 0, NULL, NULL}"]),
        c.array("rung_term ", f"{p}term", terms or ["{0, -1, 0, NULL}"]),
    ]
    out.append(c.doubles(f"{p}intercept", member.intercept))
    own = len(member.intercept)
    out.append(
        f"static const rung_additive rung_member_{place} = {{{own}, {len(axes)}, {len(terms)}, {p}axis, {p}term, {p}intercept}};"
    )
    return "\n".join(out)


def _cells(name: str, features: TableFeatures, fields: Sequence[CField]) -> str:
    of = {field.name: field.identifier for field in fields}
    lines = [f"static void rung_read(const {name}_row *row, rung_cells *cells) {{"]
    for place, (column, part) in enumerate(features.numbers):
        value = f"row->{of[column]}"
        value = f"rung_calendar({value}, {_PARTS.index(part)})" if part else value
        lines.append(f"  cells->numbers[{place}] = {value};")
    for place, column in enumerate(features.categories):
        lines.append(f"  cells->codes[{place}] = rung_code(rung_column + {place}, row->{of[column]});")
    return (
        "\n".join([*lines, "  cells->numbers[NUMBERS] = 0.0;", "  cells->codes[CATEGORIES] = 0;", "}"]) + "\n"
    )


def _raw(name: str, fitted: FittedTable) -> str:
    lines = [
        f"static void rung_raw(const {name}_row *row, double *raw) {{",
        "  rung_cells cells;", "  double part[OUTPUTS];", "  int o;", "  rung_read(row, &cells);",
        "  for (o = 0; o < OUTPUTS; o++) raw[o] = 0.0;",
    ]  # fmt: skip
    kinds = {LinearModel: "linear", TreeEnsemble: "trees", AdditiveModel: "additive"}
    for place, (member, weight) in enumerate(zip(fitted.members, fitted.weights, strict=True)):
        kind = next(word for family, word in kinds.items() if isinstance(member, family))
        lines.append(f"  rung_{kind}_raw(&rung_member_{place}, &cells, part);")
        lines.append(f"  for (o = 0; o < OUTPUTS; o++) raw[o] += {c.double(float(weight))} * part[o];")
    return "\n".join([*lines, "}"]) + "\n"


def _labels(name: str, fitted: FittedTable) -> str:
    calibration, threshold = fitted.calibration, fitted.decision.threshold
    decision = "  for (o = 1; o < OUTPUTS; o++) best = chances[o] > chances[best] ? o : best;"
    if threshold is not None:
        decision = f"  best = chances[1] >= {c.double(threshold)};"
    out, isotonic = [], ""
    if calibration.kind == "isotonic":
        isotonic = _template("isotonic").rstrip("\n")
        out.append("typedef struct { int size; const double *x, *y; } rung_knots;")
        for i, (x, y) in enumerate(calibration.knots):
            out += [c.doubles(f"rung_x_{i}", x), c.doubles(f"rung_y_{i}", y)]
        curves = [f"{{{len(x)}, rung_x_{i}, rung_y_{i}}}" for i, (x, _) in enumerate(calibration.knots)]
        out.append(c.array("rung_knots ", "rung_curve", curves))
    text = c.filled(
        _template("labels"),
        NAME=name,
        SCALE=c.double(calibration.scale),
        ISOTONIC=isotonic,
        DECISION=decision,
    )
    return "\n".join([*out, text])


def _number(name: str, fitted: FittedTable) -> str:
    scale = fitted.target_transform
    wide = scale.high - scale.low
    return c.filled(
        _template("number"), NAME=name, SPREAD=c.double(scale.spread), SHIFT=c.double(scale.shift), OFFSET=c.double(scale.offset),
        LOGARITHMIC=int(scale.logarithmic), SMEAR=c.double(scale.smear), LOWEST=f"({c.double(scale.low - wide)})",
        HIGHEST=f"({c.double(scale.high + wide)})",
    )  # fmt: skip


def _main(name: str, fields: Sequence[CField], labels: int) -> str:
    read = "\n".join(f"    row.{field.identifier} = {field.reader}(&rest);" for field in fields)
    if labels:
        shown = [
            f"      double chances[{name}_LABELS];", "      int o;", f"      printf(\"%d\", {name}_predict(&row, chances));",
            f"      for (o = 0; o < {name}_LABELS; o++) printf(\"\\t%.17g\", chances[o]);", "      printf(\"\\n\");",
        ]  # fmt: skip
    else:
        shown = [f'      printf("%.17g\\n", {name}_predict(&row));']
    return c.filled(_template("main"), NAME=name, READ=read or "    (void)rest;", PRINT="\n".join(shown))
