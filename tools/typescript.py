#!/usr/bin/env python3
"""Prints TypeScript declarations of a server's RPC methods.

usage: typescript.py [FILE]

Reads what `Server::describe()` says, as JSON, from FILE or from standard input. Each route becomes an
interface whose methods take the parameters in order and give a Promise, or an AsyncIterable for a stream:

    export interface Methods {
      add(a: number, b?: number): Promise<number>;
      ticks(symbol: string): AsyncIterable<{ price: number }>;
    }

Further keyword arguments (**kwargs) come last, as an object. Bytes are Uint8Array in msgpack; a JSON
client gets them as a base64 string.
"""

import json
import re
import sys

IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
RESERVED = set("""arguments await break case catch class const continue debugger default delete do else enum
    eval export extends false finally for function if import in instanceof new null return static super
    switch this throw true try typeof var void while with yield""".split())


def property_name(name):
    return name if IDENTIFIER.fullmatch(name) else json.dumps(name)


def parameter_name(name, index):
    if name is None:
        return f"arg{index + 1}"
    name = re.sub(r"[^A-Za-z0-9_$]", "_", name)
    return f"{name}_" if name in RESERVED or name[:1].isdigit() or not name else name


def parameters(method):
    params = method["params"]
    required = [i for i, param in enumerate(params) if not param["optional"]]
    parts = []
    for index, param in enumerate(params):
        name, kind = parameter_name(param["name"], index), param["type"]
        if not param["optional"]:
            parts.append(f"{name}: {kind}")
        elif index > max(required, default=-1):
            parts.append(f"{name}?: {kind}")
        else:  # TypeScript wants the optional ones last
            parts.append(f"{name}: {kind} | undefined")
    if method["args"]:
        parts.append("...args: unknown[]")
    elif method["kwargs"]:
        parts.append("kwargs?: Record<string, unknown>")
    return ", ".join(parts)


def notes(method):
    lines = [method["doc"]] if method["doc"] else []
    for param in method["params"]:
        if "default" in param:
            lines.append(f"`{param['name']}` is {json.dumps(param['default'])} if it is not given.")
    if method["args"] and method["kwargs"]:
        lines.append("Takes further keyword arguments.")
    if method["requires"]:
        lines.append(f"Requires {method['requires']}.")
    limit = method["rate_limit"]
    if limit:
        then = ", then disconnects" if limit["disconnect"] else ""
        lines.append(f"At most {limit['limit']} calls in {limit['period']:g} s{then}.")
    return [line.replace("*/", "*\\/") for text in lines for line in text.splitlines()]


def comment(lines, indent):
    if not lines:
        return []
    if len(lines) == 1:
        return [f"{indent}/** {lines[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}" for line in lines), f"{indent} */"]


def declaration(method):
    kind = "AsyncIterable" if method["stream"] else "Promise"
    name = property_name(method["name"])
    return [*comment(notes(method), "  "), f"  {name}({parameters(method)}): {kind}<{method['result']}>;"]


def interface_name(path, taken):
    words = re.findall(r"[A-Za-z0-9]+", path)
    name = "".join(word[0].upper() + word[1:] for word in words) + "Methods"
    name = f"_{name}" if name[0].isdigit() else name
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def declarations(description):
    lines = ["// Made by tools/typescript.py of what the server says of itself. Do not edit."]
    taken = set()
    for route in description["routes"]:
        path = route["path"]
        lines += ["", *comment([f"The methods of {path}." if path else "The methods."], ""),
                  f"export interface {interface_name(path, taken)} {{"]
        for method in route["methods"]:
            lines += declaration(method)
        lines.append("}")
    return "\n".join(lines) + "\n"


def main():
    if len(sys.argv) > 2 or sys.argv[1:] in (["-h"], ["--help"]):
        sys.exit(__doc__)
    if len(sys.argv) == 2:
        with open(sys.argv[1], encoding="utf-8") as file:
            description = json.load(file)
    else:
        description = json.load(sys.stdin)
    sys.stdout.write(declarations(description))


if __name__ == "__main__":
    main()
