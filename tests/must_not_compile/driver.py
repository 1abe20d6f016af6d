#!/usr/bin/env python3
"""Compiles one file twice: it must pass as it is, and be refused with MUST_NOT_COMPILE defined.

usage: driver.py FILE -- COMPILER FLAG…

The refusal's text must match every regular expression named in the file by a line `// expect: REGEX`.
"""

import os
import re
import subprocess
import sys


def compile_source(command, source, *flags):
    command = [*command, *flags, "-c", source, "-o", os.devnull]
    result = subprocess.run(command, capture_output=True, text=True,
                            env={**os.environ, "LC_ALL": "C"}, check=False)
    return result.returncode, result.stdout + result.stderr


def main():
    if len(sys.argv) < 4 or sys.argv[2] != "--":
        sys.exit(__doc__)
    source, command = sys.argv[1], sys.argv[3:]
    with open(source, encoding="utf-8") as file:
        text = file.read()
    expected = [line.strip() for line in re.findall(r"^// expect: (.+)$", text, re.MULTILINE)]
    if not expected:
        sys.exit(f"{source}: no line `// expect: REGEX`")
    if "MUST_NOT_COMPILE" not in text:
        sys.exit(f"{source}: nothing depends on MUST_NOT_COMPILE")

    code, output = compile_source(command, source)
    if code != 0:
        sys.exit(f"{source}: the right twin does not compile:\n{output}")
    code, output = compile_source(command, source, "-DMUST_NOT_COMPILE")
    if code == 0:
        sys.exit(f"{source}: the wrong twin compiles")
    for regex in expected:
        if not re.search(regex, output):
            sys.exit(f"{source}: refused, but no message matches /{regex}/:\n{output}")
    print(f"{source}: refused as expected")


if __name__ == "__main__":
    main()
