"""The house: its rooms, their page, names that stand once, imports that say why they are late.

That imports run downwards and in no circle is `lint-imports`' to say.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import c3dhub

PACKAGE = Path(c3dhub.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(p.name for p in PACKAGE.iterdir() if p.is_dir() and p.name != "__pycache__")
PAGE = PACKAGE.parent / "docs" / "architecture.md"


def test_few_rooms_and_few_files_at_the_top() -> None:
    assert len(set(ROOMS) - {"jobs", "pages"}) <= 9  # these two are to come
    assert len([p for p in PACKAGE.iterdir() if p.is_file()]) <= 6


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs/")
@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_on_the_page(room: str) -> None:
    assert f'["<b>{room}</b>' in PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no docs/")
def test_every_file_that_the_page_names_is_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.py)?)(?::\w+)?`", text)
    assert len(named) > 20
    missing = [
        n for n in named if not (PACKAGE / n).exists() and not (PAGE.parents[1] / n).exists()
    ]
    assert missing == []


def test_no_two_files_have_one_name() -> None:
    names = Counter(path.name for path in FILES if path.name != "__init__.py")
    commands = {path.name for path in (PACKAGE / "cli").glob("*.py")}  # named as the commands are
    assert [name for name, count in names.items() if count > 1 and name not in commands] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_short_enough_to_read(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 300


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_inside_functions_say_why(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    unexplained = [n for n in _inner_imports(ast.parse(text)) if not _explained(lines, n - 1)]
    assert unexplained == []


def _inner_imports(tree: ast.Module) -> Iterator[int]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import | ast.ImportFrom):
                    yield node.lineno


def _explained(lines: list[str], at: int) -> bool:
    """Return whether a comment stands on the line or above it, with only imports in between."""
    while not ("#" in lines[at] or lines[at].startswith("#")):
        at -= 1
        if lines[at].strip() and not lines[at].lstrip().startswith(("#", "import ", "from ")):
            return False
    return True
