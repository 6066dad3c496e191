"""Find calls that a task forbids in a notebook's source. They are reported to the instructor and cost no points.

The source is parsed, never run. A learner can hide a call on purpose (`getattr(F, "conv" + "2d")`); this search finds
obvious shortcuts, with their lines, so that the instructor can look. A short text can keep Python's parser busy for
minutes, so the search runs in a worker, before the first cell, and not in the judge.
"""

import ast
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

MOST_PER_TASK = 5
LONGEST_WRITTEN = 100
MOST_PARTS = 10  # of a dotted name; longer ones lose their first parts


def search(cells: Sequence[str], wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the forbidden names that each definition uses, with their lines; `wanted` maps definitions to such names.

    >>> search(["import torch.nn.functional as F", "f = F.conv2d"], {"f": ["conv2d"], "g": []})
    {'f': ['F.conv2d (code cell 2, line 1)']}
    """
    source = Source(cells)
    found = {entry: source.uses(entry, frozenset(forbidden)) for entry, forbidden in wanted.items()}
    return {entry: uses for entry, uses in found.items() if uses}


class Source:
    """The top level of a notebook's code: which statements bind which names, and what imported names refer to."""

    def __init__(self, cells: Sequence[str]):
        self.statements: dict[str, list[tuple[int, ast.stmt]]] = {}
        self.imported: dict[str, str] = {}
        for number, cell in enumerate(cells, start=1):
            for statement in _parsed(cell):
                for name in _bound(statement):
                    self.statements.setdefault(name, []).append((number, statement))
                for node in ast.walk(statement):
                    self.imported |= _imports(node)

    def uses(self, entry: str, forbidden: frozenset[str]) -> list[str]:
        """Return the `forbidden` names that the definition of `entry` uses, directly or through other functions.

        >>> Source(["import torch.nn.functional as F", "def f(X, K):\\n    return F.conv2d(X, K)"]).uses(
        ...     "f", frozenset({"conv2d"})
        ... )
        ['F.conv2d (code cell 2, line 2)']
        """
        found: dict[str, str] = {}
        waiting, seen, searched = [entry], {entry}, set()
        while waiting and forbidden:
            for number, statement in self.statements.get(waiting.pop(0), ()):
                if statement in searched:  # a statement may bind several names
                    continue
                searched.add(statement)
                for written, line in self._mentions(statement):
                    if _is_forbidden(self._resolved(written), forbidden):
                        found.setdefault(written, f"{written[-LONGEST_WRITTEN:]} (code cell {number}, line {line})")
                for node in ast.walk(statement):
                    if isinstance(node, ast.Name) and node.id in self.statements and node.id not in seen:
                        seen.add(node.id)
                        waiting.append(node.id)
        return list(found.values())[:MOST_PER_TASK]

    def _mentions(self, statement: ast.stmt) -> Iterator[tuple[str, int]]:
        """Yield dotted names as they are written, and keyword arguments as "groups=", each with its line."""
        for node in ast.walk(statement):
            if isinstance(node, ast.Attribute):
                written = _dotted(node)
                if written.split(".")[0] not in ("self", "cls"):
                    yield written, node.lineno
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in self.statements:
                yield node.id, node.lineno
            elif isinstance(node, ast.Call):
                yield from ((f"{keyword.arg}=", keyword.value.lineno) for keyword in node.keywords if keyword.arg)
                yield from _by_getattr(node)

    def _resolved(self, written: str) -> str:
        base, dot, rest = written.partition(".")
        return self.imported.get(base, base) + dot + rest


def _parsed(cell: str) -> list[ast.stmt]:
    """Return a cell's statements, none if it is not Python. IPython's lines are skipped; line numbers stay the same."""
    for source in (cell, textwrap.dedent(_without_magics(cell))):
        try:
            with warnings.catch_warnings():  # about the learner's code, such as "\d" in a string
                warnings.simplefilter("ignore")
                return ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last two for deep nesting
            continue
    return []


def _without_magics(cell: str) -> str:
    cell = re.sub(r"^([ \t]*+)(?:[%!?].*|.*\?)$", r"\1pass", cell, flags=re.MULTILINE)
    return re.sub(r"= *[%!].*$", "= None", cell, flags=re.MULTILINE)


def _bound(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds, also in its branches and loops; `f.x = ...` counts as `f`."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    names = set()
    for node in ast.walk(statement):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            names.add(_dotted(node).split(".")[0])
    return names


def _imports(node: ast.AST) -> dict[str, str]:
    if isinstance(node, ast.ImportFrom):
        return {alias.asname or alias.name: f"{node.module or ''}.{alias.name}" for alias in node.names}
    if isinstance(node, ast.Import):
        return {alias.asname: alias.name for alias in node.names if alias.asname}
    return {}


def _dotted(node: ast.expr) -> str:
    """Return "F.conv2d" for such an attribute, without any expression before it, and at most `MOST_PARTS` parts."""
    parts = []
    while isinstance(node, ast.Attribute) and len(parts) < MOST_PARTS:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id if isinstance(node, ast.Name) else "", *reversed(parts)])


def _by_getattr(node: ast.Call) -> Iterator[tuple[str, int]]:
    if isinstance(node.func, ast.Name) and node.func.id == "getattr" and len(node.args) > 1:
        name = node.args[1]
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield f"{_dotted(node.args[0])}.{name.value}", node.lineno


def _is_forbidden(name: str, forbidden: frozenset[str]) -> bool:
    if name.rpartition(".")[2] in forbidden:
        return True
    parts = name.split(".")
    return any(f"{a}.{b}" in forbidden or f"{a}.*" in forbidden for a, b in pairwise(parts))
