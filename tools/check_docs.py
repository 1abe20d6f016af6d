#!/usr/bin/env python3
"""Checks that every ```cpp block of README.md and docs/**/*.md is a piece of a file under docs/examples/.

The files there are compiled by the tests, so a block that passes here compiles. A block may be indented
differently as a whole, and whitespace at the ends of lines and of the block does not count.
"""

import pathlib
import sys
import textwrap

ROOT = pathlib.Path(__file__).resolve().parent.parent


def normal(lines):
    """The lines without common indentation and without trailing whitespace."""
    return textwrap.dedent("\n".join(line.rstrip() for line in lines)).split("\n")


def code_blocks(path):
    """Yields (line number, lines) of every cpp block."""
    block, start = None, 0
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = line.strip()
        if block is None:
            if fence.startswith("```") and fence[3:].split(" ")[0] in ("cpp", "c++", "cxx"):
                block, start = [], number
        elif fence == "```":
            while block and not block[0].strip():
                block.pop(0)
            while block and not block[-1].strip():
                block.pop()
            yield start, block
            block = None
        else:
            block.append(line)
    if block is not None:
        yield start, block


def is_piece_of(block, lines):
    wanted, size = normal(block), len(block)
    first = wanted[0].strip()
    return any(lines[i].strip() == first and normal(lines[i:i + size]) == wanted
               for i in range(len(lines) - size + 1))


def main():
    examples = {path: path.read_text(encoding="utf-8").splitlines()
                for path in sorted((ROOT / "docs" / "examples").glob("**/*"))
                if path.suffix in (".cpp", ".hpp")}
    pages = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md"))]
             if path.is_file()]
    count, failures = 0, 0
    for page in pages:
        for line, block in code_blocks(page):
            count += 1
            if not block or not any(is_piece_of(block, lines) for lines in examples.values()):
                failures += 1
                print(f"{page.relative_to(ROOT)}:{line}: this block is in no file of docs/examples/")
    print(f"{count} code blocks in {len(pages)} pages, {failures} not found in {len(examples)} examples")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
