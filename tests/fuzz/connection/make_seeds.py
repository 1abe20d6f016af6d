#!/usr/bin/env python3
"""Writes programs that lead deep into the states of a connection, for the fuzzer to begin with.

usage: make_seeds.py FOLDER        Then: connection_fuzz -merge=1 tests/fuzz/corpus/connection FOLDER
"""

import itertools
import pathlib
import sys

KINDS = ("connect upgrade http raw frame bad_frame call mutated_call act_call ping say_close abort hold "
         "release pause_reading read end_output hang_up turn advance act arm drain hurry "
         "innocent_echo").split()
PLACES = ("on_upgrade on_connect on_receive on_disconnect on_dropped on_drained before_rpc after_rpc "
          "method predicate coroutine timer deferred http").split()
# Places of methods in kMethods, and of steps of time.
ECHO, LONG, ADD, METHOD, REJECTED, LIMITED_HARD, SECRET, ASKED = 0, 2, 4, 8, 10, 14, 15, 16
SLEEP_0, SLEEP_30, SLEEP_400, NESTED, ASK_ALL, COUNT, PAUSING, CHUNKS, LARGE = 17, 18, 19, 20, 21, 22, 23, 25, 26
MS_1, MS_10, MS_20, MS_100, MS_500, S_5, S_20, S_60 = range(8)
SEND, SPREAD, SCHEDULE, CHANNELS, CLOSE, OTHER = 0, 2, 4, 5, 6, 7


def options(**bits):
    """Bytes by their place: b0=…, b1=…; see config_of."""
    return bytes(bits.get(f"b{i}", 0) for i in range(16))


def step(kind, who=0, what=0, how=0):
    return bytes([KINDS.index(kind), who, what, how])


def raw(text, who=0):
    data = text.encode()
    padded = data + bytes(-len(data) % 4)
    return step("raw", who, len(data)) + padded


def arm(place, what, how=0):
    return step("arm", PLACES.index(place), what, how)


def act(what, how=0, who=0):
    return step("act", who, what, how)


def turns(count=1):
    return step("turn", 0, 3) * count


JSON, MSGPACK, TEXT = 0, 16, 8  # of upgrades, on the path /


def open_as(form=JSON, who=0, deflate=0):
    return step("upgrade", who, form + 32 * deflate) + turns(2)


def burst():
    """Publishes, with a key and without, to who has subscribed to a, or to all."""
    parts = [act(CHANNELS, 0), act(CHANNELS, 7), turns(), step("pause_reading", 0, 0)]
    for size, _ in itertools.product((5, 6, 7), range(3)):
        parts += [act(SPREAD, 40 + size), act(SPREAD, size), act(SPREAD, 16 + size)]
    return b"".join(parts) + turns()


def seeds():
    small = 1
    for policy, limit in itertools.product(range(4), (2, 3)):
        bits = policy | limit << 2 | 2 << 4
        stalled = open_as(TEXT) + burst() * 3 + step("ping", 0, 5) + turns()
        end = step("pause_reading", 0, 1) + turns(3) + step("call", 0, ECHO) + turns()
        yield f"stalled_{policy}_{limit}", options(b1=bits, b9=small) + stalled + end
        armed = arm("on_dropped", SEND, 1) + arm("on_drained", SEND, 2) + arm("on_drained", OTHER, 0)
        yield f"told_{policy}_{limit}", options(b1=bits, b8=16, b9=small | 16) + armed + stalled + end
        yield (f"sends_{policy}_{limit}", options(b1=bits, b9=small | 16) + open_as(MSGPACK) +
               step("pause_reading") + (act(SEND, 2) + act(SEND, 9) + turns()) * 4 +
               step("call", 0, LARGE) + turns() + end)
        yield (f"own_rule_{policy}_{limit}", options(b1=2 << 4, b9=small) + open_as(TEXT) +
               act(CLOSE, 4 + 8 * policy + 32 * limit) + burst() * 2 + end)
    patience = options(b5=3, b9=small)
    yield "write_timeout", patience + open_as() + step("pause_reading") + act(SEND, 7) + turns() + (
        step("advance", 0, MS_500) * 2) + step("call", 0, ECHO)
    total = options(b1=2 << 6, b9=small)
    yield "outbox_total", total + open_as() + open_as(who=1) + step("pause_reading") + step(
        "pause_reading", 1) + act(SEND, 7) + act(SEND, 7, 1) + turns(3)
    for method in (COUNT, PAUSING, CHUNKS, LARGE):
        for limit in (2, 3):
            yield (f"stream_{method}_{limit}", options(b1=limit << 2 | 2 << 4, b9=small) + open_as(MSGPACK) +
                   step("pause_reading") + step("call", 0, method) * 2 + turns() +
                   step("advance", 0, MS_20) * 3 + step("abort", 0, 0) + turns() +
                   step("pause_reading", 0, 1) + turns(3))
    for task_limit, queue in itertools.product((1, 2), (1, 3)):
        bits = task_limit | queue << 4
        calls = step("call", 0, SLEEP_30) * 3 + step("call", 0, ECHO) + step("call", 0, NESTED)
        yield f"parked_{bits}", options(b3=bits) + open_as() + calls + turns() + step("abort", 0, 3) + turns()
        yield f"parked_close_{bits}", options(b3=bits) + open_as() + calls + step("say_close") + turns()
        yield (f"parked_bytes_{bits}", options(b2=2 << 4, b3=bits | 2 << 6) + open_as() +
               step("call", 0, LONG) * 9 + calls + turns())
        yield f"parked_drain_{bits}", options(b3=bits) + open_as() + calls + turns() + step("drain", 0, 2) + (
            step("advance", 0, MS_20) * 5)
        yield (f"shard_limit_{bits}", options(b3=3 << 2) + open_as() + open_as(who=1) + calls +
               step("call", 1, SLEEP_30) * 3 + turns() + step("advance", 0, MS_100) * 3)
    for timeout in range(4):
        drain = step("drain", 0, timeout)
        calls = step("call", 0, SLEEP_400) + step("call", 0, ECHO) + turns()
        for hurry in (b"", step("hurry")):
            yield (f"drain_{timeout}_{len(hurry)}", options(b5=timeout << 4 | 2 << 6) + open_as() + open_as(who=1) +
                   calls + step("http", 1) + drain + turns() + step("call", 0, ECHO) + hurry +
                   step("advance", 0, MS_100) * 6)
        yield f"drain_slow_{timeout}", options(b9=small, b5=timeout << 4) + open_as() + step(
            "pause_reading") + act(SEND, 7) + turns() + drain + turns(2) + step("advance", 0, MS_20) * 3 + (
                step("read", 0, 200) + turns()) * 4
        yield f"drain_http_{timeout}", options() + step("connect") + step("connect", 1) + step("hold") + step(
            "http", 0, 2, 50) + step("release", 0, 20) + turns() + drain + turns() + step("release", 0, 128)
    for what in range(8):
        yield f"http_{what}", options() + b"".join(step("http", 0, (what + i) % 8) for i in range(8)) + turns(
            2) + open_as() + step("call", 0, ECHO)
        yield f"http_split_{what}", options(b7=what % 4 << 2) + step("connect") + step("hold") + step(
            "http", 0, what, 30) * 2 + (step("release", 0, 40) + turns()) * 6 + step("advance", 0, S_20)
        yield f"http_unread_{what}", options(b1=2 << 2, b9=small) + step("connect") + step("pause_reading") + step(
            "http", 0, 0, 240) * 8 + turns(2) + step("advance", 0, S_20) + step("pause_reading", 0, 1) + turns(2)
        yield f"http_end_{what}", options() + step("http", 0, what) * 2 + step("end_output") + turns(2)
    for fault in range(12):
        yield f"fault_{fault}", options(b8=12) + step("upgrade", 0, 0, fault) + turns()
        yield f"async_{fault}", options(b9=14) + step("upgrade", 0, fault * 8 + fault % 8, fault) + step(
            "call", 0, ECHO) + turns() + step("advance", 0, MS_10) * 3 + step("call", 0, METHOD) + turns()
    for deflate, form in itertools.product(range(1, 8), (MSGPACK, TEXT, 3)):
        for compression in (1, 1 | 2 | 8 | 16, 1 | 2 | 4, 1 | 2 | 8):
            yield (f"deflate_{deflate}_{form}_{compression}", options(b0=compression) + step(
                "upgrade", 0, form + 32 * deflate) + turns(2) + step("call", 0, LONG, 1) * 3 + step(
                    "call", 0, LONG, 5 + 48) + act(CHANNELS) + turns() + act(SPREAD, 7) + act(SPREAD, 100) +
                   act(SEND, 24 + 3) + act(SEND, 2) + turns())
    for place, (what, how) in itertools.product(PLACES, (
            (SEND, 7), (SEND, 63), (SPREAD, 6), (SCHEDULE, 4), (SCHEDULE, 0), (CLOSE, 0), (OTHER, 0), (OTHER, 1),
            (OTHER, 2), (OTHER, 6), (CHANNELS, 2))):
        visit = step("http", 1) + open_as(TEXT) + step("call", 0, METHOD) + step("call", 0, ASKED) + step(
            "call", 0, PAUSING) + step("frame", 0, 128 + 1, 2) + turns() + act(SCHEDULE, 0) + act(
                SCHEDULE, 9) + step("advance", 0, MS_20) * 2 + step("call", 0, NESTED) + turns(2)
        yield f"at_{place}_{what}_{how}", options(b9=16) + arm(place, what, how) * 2 + visit
        yield f"at_async_{place}_{what}_{how}", options(b9=30) + arm(place, what, how) * 2 + visit
    half = step("frame", 0, 1, 3) + turns()
    yield "message_timeout", options(b2=3 << 6) + open_as() + half + step("advance", 0, MS_100)
    yield "inbound_limit", options(b2=2 << 4) + open_as() + step("frame", 0, 1, 6) + turns() + half
    yield "too_big", options(b2=2) + open_as() + step("frame", 0, 130, 6) + turns()
    yield "unanswered_ping", options(b4=3 << 4 | 3 << 6) + open_as() + step("hold") + step("advance", 0, MS_100) * 4
    yield "endless_ping", options(b4=3 << 4 | 2 << 6) + open_as() + step("hold") + step("advance", 0, MS_100) * 9
    yield "message_rate", options(b4=3) + open_as() + step("call", 0, ECHO) * 5 + turns() + half
    yield "receive_rate", options(b4=3 << 2) + open_as() + step("frame", 0, 128 + 1, 6) * 3 + turns() + step(
        "advance", 0, MS_500) * 5
    yield "limited", options() + open_as() + step("call", 0, 13) * 4 + step("call", 0, LIMITED_HARD) * 3 + turns()
    yield "ticks", options(b0=64, b8=48) + open_as(TEXT) + act(CHANNELS, 6) + turns() + act(SPREAD, 6 + 16) * 3 + act(
        SPREAD, 7) + act(SPREAD, 128 + 6) + turns() + step("advance", 0, MS_20) * 3
    yield "few_slots", options(b7=2 << 4 | 3 << 6) + open_as() + open_as(who=1) + step("hang_up", 1) + turns() + open_as(
        who=1)
    for header in ("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "PROXY UNKNOWN\r\n", "PROXY wrong\r\n", "PRO"):
        yield (f"proxy_{len(header)}", options() + step("connect", 0, 7) + raw(header) + turns() + open_as() + step(
            "call", 0, ECHO) + turns() + step("advance", 0, S_5))
    for code, reason in itertools.product(range(8), (0, 1, 2, 3, 100)):
        yield f"close_{code}_{reason}", options() + open_as() + step("call", 0, SLEEP_30) + step(
            "say_close", 0, code, reason) + step("ping") + turns() + step("advance", 0, MS_100)
    for first in (0x91, 0xA1, 0xC1, 0x83, 0x8B, 0x09, 0x80, 0x82):
        yield f"bad_{first}", options() + open_as() + step("bad_frame", 0, first, 1 + 2 + 4 * (first % 64)) + turns()
        yield f"bad_short_{first}", options() + open_as() + step("bad_frame", 0, first, 1 + 4 * 20) + turns()
    for cut in range(1, 60, 7):
        yield f"split_{cut}", options() + open_as(MSGPACK) + step("hold") + step("call", 0, LONG, 4 + 16 * 5) + step(
            "ping", 0, 3) + (step("release", 0, cut) + turns()) * 4 + step("release", 0, 255) + turns()
    for how in (250, 251):
        yield f"inflated_{how}", options(b0=1) + open_as(deflate=1) + step("frame", 0, 130, how) * 3 + turns(3)
    yield "asked_for_all", options() + open_as() + act(CHANNELS, 0) + act(CHANNELS, 7) + turns() + act(OTHER, 5) + act(
        OTHER, 3) + turns()
    yield "continue", options() + step("http", 0, 5, 2) + step("http", 0, 5, 3) + turns(2)
    yield "half_closed", options() + open_as() + step("call", 0, SLEEP_30) + step("end_output") + turns() + step(
        "advance", 0, MS_100)
    yield "reset", options(b9=small) + open_as() + step("pause_reading") + act(SEND, 7) + turns() + step(
        "hang_up") + turns(2)
    yield "all", options() + open_as() + open_as(MSGPACK, 1) + b"".join(
        step("call", who, method) for method in range(28) for who in (0, 1)) + turns(3)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, program in seeds():
        (folder / name).write_bytes(program)


if __name__ == "__main__":
    main()
