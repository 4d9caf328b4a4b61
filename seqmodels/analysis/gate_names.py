"""What a gate is called where its cell is written: read from the source of the line that made it."""

import ast
import inspect
import linecache
import textwrap
from types import FrameType


def names_in_source(frame: FrameType) -> list[str]:
    """Names what a call, which a frame is just making, gives.

    `f = torch.sigmoid(x)` gives "f", `torch.sigmoid(f) * c` gives "f", and `r, z = torch.sigmoid(x).chunk(2, -1)`
    gives "r" and "z", as does `gates = torch.sigmoid(x)` with `r, z = gates.chunk(2, -1)` after it.

    Args:
        frame: Of the function that makes the call.

    Returns:
        One name, or one for each of the equal parts that it is split into; none where the source does not tell.

    Example:
        >>> import sys
        >>> def gate(x):
        ...     return names_in_source(sys._getframe(1))
        >>> def step(f, c):
        ...     return gate(f), c
        >>> step(0.0, 1.0)  # a doctest has source, as has every file
        (['f'], 1.0)
    """
    body = _parsed(frame)
    if body is None:
        return []
    tree, call = body
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Assign) and any(node is call for node in ast.walk(statement.value)):
            targets = _targets(statement, call)
            if targets:
                return targets if len(targets) > 1 else _unpacked(tree, targets[0]) or targets
    return _argument(call.args[0]) if call.args else []


def _parsed(frame: FrameType) -> tuple[ast.AST, ast.Call] | None:
    """Returns the function of a frame as a tree, and the call that it is making."""
    code = frame.f_code
    positions = list(code.co_positions())[frame.f_lasti // 2]
    linecache.checkcache(code.co_filename)
    try:
        lines, first = inspect.getsourcelines(code)
        text = "".join(lines)
        tree = ast.parse(textwrap.dedent(text))
    except (OSError, SyntaxError):  # typed at a prompt, or no statement of its own
        return None
    line, end_line, column, end_column = positions
    if line is None or end_line is None or column is None or end_column is None:
        return None
    indent = len(lines[0]) - len(textwrap.dedent(text).partition("\n")[0]) - 1
    first = max(first, 1)  # 0 of a module
    wanted = (line - first + 1, column - indent, end_line - first + 1, end_column - indent)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
            if place == wanted:
                return tree, node
    return None


def _targets(statement: ast.Assign, call: ast.Call) -> list[str]:
    """Returns the names that a statement gives to what the call makes, where it gives it them as it is."""
    target, value = statement.targets[0], statement.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        pairs = [name for name, part in zip(target.elts, value.elts, strict=True) if part is call]
        return [name.id for name in pairs if isinstance(name, ast.Name)]
    if isinstance(target, ast.Name) and value is call:
        return [target.id]
    split = isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.value is call
    return _names(target) if split else []


def _unpacked(tree: ast.AST, name: str) -> list[str]:
    """Returns the names that `a, b = name.chunk(...)`, or split or unbind, gives to the parts of a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            function, names = node.value.func, _names(node.targets[0])
            source = function.value if isinstance(function, ast.Attribute) else None
            if isinstance(source, ast.Name) and source.id == name and names:
                return names
    return []


def _names(target: ast.expr) -> list[str]:
    return [part.id for part in target.elts if isinstance(part, ast.Name)] if isinstance(target, ast.Tuple) else []


def _argument(argument: ast.expr) -> list[str]:
    """Returns what is in the brackets: a name as it is, or with its sign; the first name of anything longer."""
    if isinstance(argument, ast.UnaryOp) and isinstance(argument.operand, ast.Name):
        return [ast.unparse(argument)]
    return [node.id for node in ast.walk(argument) if isinstance(node, ast.Name)][:1]
