"""The modules of rung that answer for a bundle, copied under another name: a wheel holds them instead of needing rung."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

_ROOT = Path(__file__).parents[1]
# What only builds, pages and commands use. Functions that fit models import from there; nothing that answers does.
_LEFT_OUT = frozenset(
    ["annotation", "building", "cli", "data", "engines", "exporting", "pages", "studio", "testing", "tracking", "training", "workflows"]
)  # fmt: skip
_IMPORTED = re.compile(r"^(\s*(?:from|import) )rung(?=[.\s])", re.MULTILINE)
_GROUPS = re.compile(r"\"rung\.(tasks|models|kinds)\"")
# A module with one of these finds its neighbours by name: they come along.
_DYNAMIC = ("iter_modules(", "import_module(")


def modules_for(roots: Iterable[str]) -> list[str]:
    """Return the names of the modules that the roots import, directly or not, themselves included; sorted.

    roots: dotted names below rung. Imports inside functions count, too; those of training code and those for type checkers
    alone do not.
    """
    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name in found or _file(name) is None or name.split(".")[1:2] and name.split(".")[1] in _LEFT_OUT:
            continue
        found.add(name)
        parents = name.split(".")[:-1]
        waiting += [".".join(parents[:count]) for count in range(2, len(parents) + 1)]
        text = _text(name)
        waiting += _imports(ast.parse(text))
        if any(mark in text for mark in _DYNAMIC):
            waiting += _neighbours(name)
    return sorted(found - {"rung"})


def write_vendored(names: Sequence[str], package: str, folder: Path) -> None:
    """Write modules into a folder as the package `package`, their imports renamed, with the data files beside them.

    package: its dotted name, such as `news._rung`.
    """
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        f'"""Modules of rung {version("rung")} that answer for this product. Apache-2.0."""\n',
        encoding="utf-8",
    )
    for name in names:
        source = _file(name)
        if source is None:
            continue
        target = folder / source.relative_to(_ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_renamed(source.read_text(encoding="utf-8"), package), encoding="utf-8")
        if source.name == "__init__.py":
            for data in _data_files(source.parent):
                copy = folder / data.relative_to(_ROOT)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(data.read_bytes())


def _renamed(text: str, package: str) -> str:
    return _GROUPS.sub(rf'"{package}.\1"', _IMPORTED.sub(rf"\g<1>{package}", text))


def _file(name: str) -> Path | None:
    """Return the file of a module or package; None when there is none of that name."""
    if name.split(".")[0] != "rung":
        return None
    place = _ROOT.joinpath(*name.split(".")[1:])
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _text(name: str) -> str:
    path = _file(name)
    # What `rung` itself exports is looked up by name when it is asked for, and nothing here asks.
    return path.read_text(encoding="utf-8") if path is not None and name != "rung" else ""


def _neighbours(name: str) -> list[str]:
    path = _file(name)
    if path is None:
        return []
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return [f"{package}.{other.stem}" for other in path.parent.glob("*.py") if other.stem != "__init__"]


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield the modules that a module may import; a name imported from a package may be a module of it."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{item.name}" for item in node.names)
        else:
            yield from _imports(node)


def _data_files(package: Path) -> Iterator[Path]:
    """Yield the files of a package that are no code, those in folders that are no packages included."""
    for path in sorted(package.iterdir()):
        if path.is_dir() and path.name != "__pycache__" and not (path / "__init__.py").is_file():
            yield from _data_files(path)
        elif path.is_file() and path.suffix in {".yaml", ".txt", ".json"}:
            yield path
