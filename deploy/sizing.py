#!/usr/bin/env python3
"""Works out deploy/SIZING.md: evaluates its formulas with its inputs, and writes the values beside them.

    deploy/sizing.py            after an input was changed: writes the values
    deploy/sizing.py --check    says whether they are what the formulas give, and ends with 1 if not

An input is a row `| name | value | unit | where from |`, a result a row `| name | `formula` | value | unit |`. A formula is made of numbers,
names of the rows above it, + - * / and min, max, ceil.
"""

import ast
import math
import operator
import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("SIZING.md")
INPUT = re.compile(r"^\| ([a-z][a-z0-9_]*) \| ([0-9][0-9,.]*) \|")
RESULT = re.compile(r"^\| ([a-z][a-z0-9_]*) \| `([^`]+)` \|([^|]*)\|(.*)$")
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
FUNCTIONS = {"min": min, "max": max, "ceil": math.ceil}


def value_of(node, known):
    """The value of a parsed formula; only what the description above allows."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        return node.value
    if isinstance(node, ast.Name) and node.id in known:
        return known[node.id]
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        return OPERATORS[type(node.op)](value_of(node.left, known), value_of(node.right, known))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
        return FUNCTIONS[node.func.id](*(value_of(each, known) for each in node.args))
    raise ValueError(f"`{ast.unparse(node)}` is no number, no row above, and no operation that is allowed")


def shown(value):
    """Four digits that count, with commas."""
    if value == 0:
        return "0"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{round(value, digits):,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def worked_out(text):
    """The page with all values written."""
    known, lines = {}, []
    for number, line in enumerate(text.splitlines(), 1):
        if found := RESULT.match(line):
            name, formula, _, rest = found.groups()
            try:
                known[name] = value_of(ast.parse(formula, mode="eval").body, known)
            except (SyntaxError, ValueError, ZeroDivisionError) as error:
                sys.exit(f"{PAGE.name}:{number}: {name}: {error}")
            line = f"| {name} | `{formula}` | {shown(known[name])} |{rest}"
        elif found := INPUT.match(line):
            known[found[1]] = float(found[2].replace(",", ""))
        lines.append(line)
    return "\n".join(lines) + "\n"


def main():
    text = PAGE.read_text(encoding="utf-8")
    new = worked_out(text)
    if sys.argv[1:] == ["--check"]:
        if new != text:
            sys.exit(f"{PAGE.name} does not hold what its formulas give: run deploy/sizing.py")
    elif sys.argv[1:]:
        sys.exit(__doc__)
    else:
        PAGE.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
