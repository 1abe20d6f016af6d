#!/usr/bin/env python3
"""Checks who includes whom: each folder may include the standard library and the prefixes named here.

A room knows the rooms to its left: api, protocol, shards, engine. Public headers know the standard library
and each other, so that who uses an installed library needs no third-party header.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

POSIX = ["arpa/", "fcntl.h", "netdb.h", "netinet/", "poll.h", "pthread.h", "sched.h", "signal.h", "stdlib.h",
         "sys/", "unistd.h"]
API = ["webshocket/", "api/"]
PROTOCOL = [*API, "protocol/"]
SHARDS = [*PROTOCOL, "shards/"]
ENGINE = [*SHARDS, "engine/"]
TOOLS = ["webshocket/", "spdlog/", "CLI/", "toml++/", "histedit.h", "langinfo.h", *POSIX]
TEST = ["doctest/", "tests/support/", *POSIX]

ALLOWED = {  # the longest matching folder decides
    "api/include": ["webshocket/"],
    "api": [*API, "cxxabi.h"],
    "protocol": [*PROTOCOL, "wslay/", "msgpack", "rapidjson/", "http_parser.h", "simdjson.h", "openssl/", "zlib.h",
                 "arpa/inet.h", "sys/random.h"],
    "shards": [*SHARDS, "malloc.h", "uv.h", "concurrentqueue/", "xxhash.h", "openssl/", *POSIX],
    "engine": [*ENGINE, "uv.h", "openssl/", "xxhash.h", *POSIX],
    "tools": TOOLS,
    "tools/wsbench": [*TOOLS, "protocol/handshake.hpp", "protocol/mask.hpp", "protocol/uri.hpp"],
    "tools/wssoak": [*TOOLS, "tools/wsbench/", "openssl/", "malloc.h"],
    "docs/examples": ["webshocket/"],
    "tests/api": [*API, *TEST, "tests/api/"],
    "tests/protocol": [*PROTOCOL, *TEST, "tests/protocol/"],
    "tests/shards": [*SHARDS, *TEST, "tests/shards/", "uv.h", "openssl/"],
    "tests/tools": ["webshocket/", *TEST, "tools/"],
    "tests/interop": ["webshocket/", *TEST],
    "tests/install": ["webshocket/"],
    "tests/must_not_compile": API,
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)[">]', re.MULTILINE)
STANDARD = re.compile(r"[a-z_0-9]+")  # <vector>, <cstdint>: no folder, no suffix


def folder_of(path):
    while path and path not in ALLOWED:
        path = path.rpartition("/")[0]
    return path


def main():
    count, failures = 0, 0
    for top in sorted({folder.partition("/")[0] for folder in ALLOWED}):
        for path in sorted((ROOT / top).glob("**/*.[hc]pp")):
            name = path.relative_to(ROOT).as_posix()
            folder = folder_of(name)
            if not folder:
                continue
            count += 1
            text = path.read_text(encoding="utf-8")
            for match in INCLUDE.finditer(text):
                quote, header = match.groups()
                # A file beside the including one, in a folder that is no room.
                local = quote == '"' and "/" not in header and (path.parent / header).is_file()
                if quote == "<" and STANDARD.fullmatch(header):
                    continue
                if local and folder in ("tools", "tools/wsbench", "tools/wssoak", "docs/examples", "tests/install"):
                    continue
                if any(header.startswith(prefix) for prefix in ALLOWED[folder]):
                    continue
                failures += 1
                line = text.count("\n", 0, match.start(1)) + 1
                print(f"{name}:{line}: {folder} must not include {header}")
    print(f"{count} files, {failures} includes against the layers")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
