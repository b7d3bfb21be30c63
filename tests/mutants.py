"""Breaks the machine in every way, one at a time, and expects the model to notice.

``python tests/mutants.py`` drops each arm of each ``match`` and each alternative in it, swaps each
row with the next, turns each condition round, forgets each operand of each ``and``, each guard and
each change of patience, moves each number by one, and skips each save. It prints how many mutants
there were and which of them the model let live; if it is any, the exit code is 1.
"""

from __future__ import annotations

import ast
import signal
import sys
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PATH: Final = [str(ROOT / room) for room in ("agent", "bootctl", "tests")]
AGENT: Final = ROOT / "agent" / "flipside_agent"
PARTS: Final = {
    "machine": None,
    "setbacks": None,
    "runner": None,
    "journal": "Journal",
    "pages": "Ring",
}
"""What is broken: whole modules, or one definition in them."""

WEIGHED: Final = ("machine", "setbacks")
"""Where a number decides something, and is not just the first of many."""

LONGEST: Final = 100.0
"""CPU seconds after which a mutant counts as one that never comes to rest."""

Variants = Iterator[tuple[str, ast.AST | None]]
"""What is done to a node, and what takes its place; None if that is nothing."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One module, broken in one place."""

    module: str
    line: int
    what: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}.py:{self.line}: {self.what}"


def mutants() -> Iterator[Mutant]:
    """Every way to break what decides about an update."""
    for module, name in PARTS.items():
        tree = ast.parse((AGENT / f"{module}.py").read_text())
        for parent in ast.walk(_part(tree, name)):
            for put, child in _children(parent):
                if isinstance(child, ast.Constant) and module not in WEIGHED:
                    continue
                for what, other in _variants(child):
                    put(other)
                    yield Mutant(module, getattr(child, "lineno", 0), what, ast.unparse(tree))
                    put(child)


def _part(tree: ast.Module, name: str | None) -> ast.AST:
    named = (node for node in tree.body if getattr(node, "name", None) == name)
    return tree if name is None else next(named)


def _children(parent: ast.AST) -> Iterator[tuple[Callable[[ast.AST | None], None], ast.AST]]:
    """The nodes below this one, each with a way to put another in its place."""
    for name, value in ast.iter_fields(parent):
        if isinstance(value, ast.AST):
            yield partial(setattr, parent, name), value
        elif isinstance(value, list):
            for at, child in enumerate(value):
                if isinstance(child, ast.AST):
                    yield partial(value.__setitem__, at), child


def _variants(node: ast.AST) -> Variants:
    match node:
        case ast.Match():
            yield from _rows(node)
        case ast.If() | ast.IfExp():
            yield f"`if {ast.unparse(node.test)}` turned round", _with(node, test=_not(node.test))
        case ast.match_case(guard=ast.expr() as guard):
            yield f"guard `{ast.unparse(guard)}` turned round", _with(node, guard=_not(guard))
            yield f"guard `{ast.unparse(guard)}` forgotten", _with(node, guard=None)
        case ast.MatchOr(patterns=patterns):
            for pattern in patterns:
                left = [other for other in patterns if other is not pattern]
                fewer = _with(node, patterns=left) if len(left) > 1 else left[0]
                yield f"`{ast.unparse(pattern)}` left out", fewer
        case ast.BoolOp(values=values):
            for value in values:
                rest = [other for other in values if other is not value]
                yield f"`{ast.unparse(value)}` forgotten", _with(node, values=rest)
        case ast.Call(func=ast.Attribute(value, "rested" | "spend" as verb)):
            yield f"{verb} forgotten", value
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            yield f"{number} moved by one", ast.Constant(number + 1)
        case ast.Compare(ops=[ast.LtE()]):
            yield "<= made <", _with(node, ops=[ast.Lt()])
        case ast.Compare(ops=[ast.Gt()]):
            yield "> made >=", _with(node, ops=[ast.GtE()])
        case ast.Expr(ast.Call(func=ast.Attribute(attr="save" | "write"))):
            yield f"`{ast.unparse(node)}` skipped", ast.Pass()


def _rows(node: ast.Match) -> Variants:
    for at, row in enumerate(node.cases):
        what = f"arm `{ast.unparse(row.pattern)}`"
        dropped = _with(row, guard=ast.Constant(False))
        yield (
            f"{what} dropped",
            _with(node, cases=[*node.cases[:at], dropped, *node.cases[at + 1 :]]),
        )
    for at, (row, below) in enumerate(zip(node.cases, node.cases[1:], strict=False)):
        if ast.dump(ast.Module(row.body, [])) == ast.dump(ast.Module(below.body, [])):
            continue
        what = f"rows `{ast.unparse(row.pattern)}` and `{ast.unparse(below.pattern)}` swapped"
        rows = [_with(row, body=below.body), _with(below, body=row.body)]
        yield what, _with(node, cases=[*node.cases[:at], *rows, *node.cases[at + 2 :]])


def _with(node: ast.AST, **fields: object) -> ast.AST:
    other = copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other


def _not(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def verdict(mutant: Mutant) -> str:
    """How the model noticed; empty if it did not. Needs a process that has imported nothing yet."""
    sys.path[:0] = PATH
    signal.signal(signal.SIGPROF, _too_long)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    try:
        _install(mutant)
        from models.judge import judge

        judge()
    except Exception as error:  # noqa: BLE001 - whatever a broken machine raises is what we want
        return f"{type(error).__name__}: {error}"
    return ""


def _install(mutant: Mutant) -> None:
    """Let every import find the mutant in the place of its module."""
    name = f"flipside_agent.{mutant.module}"
    module = ModuleType(name)
    module.__file__ = str(AGENT / f"{mutant.module}.py")
    sys.modules[name] = module
    exec(compile(mutant.source, module.__file__, "exec"), module.__dict__)


def _too_long(_signal: int, _frame: object) -> None:
    raise TimeoutError("it never comes to rest")


def main() -> int:
    """Try every mutant, on every processor."""
    began = time.monotonic()
    everyone = list(mutants())
    survivors = []
    with get_context("fork").Pool(maxtasksperchild=1) as pool:
        for mutant, noticed in zip(everyone, pool.imap(verdict, everyone), strict=True):
            if not noticed:
                survivors.append(mutant)
                sys.stdout.write(f"NOT NOTICED  {mutant}\n")
    seconds = time.monotonic() - began
    caught = len(everyone) - len(survivors)
    sys.stdout.write(f"{len(everyone)} mutants, {caught} noticed, {seconds:.0f} s\n")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
