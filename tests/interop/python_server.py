#!/usr/bin/python3
"""A server that is not ours, for our client to prove itself against.

It is made with Debian's python3-websockets and python3-msgpack, hence the interpreter; without them its
exit status is 77. Its methods are the conformance server's, as far as a client can tell them apart, and a
few that only the test of a client needs. It has the habits of the Python framework: a stream's end repeats
the last chunk, an empty error text is null, a call that is cut off for its rate gets no answer.

It prints `listening on HOST:PORT` once it accepts. SIGTERM and SIGINT: 1001 to all, exit status 0.
"""

import argparse
import asyncio
import base64
import collections
import contextlib
import fnmatch
import http
import inspect
import json
import signal
import ssl
import sys

try:
    import msgpack
    import websockets
    from websockets.frames import Opcode
except ImportError as missing:
    print(f"python_server.py: {missing}", file=sys.stderr)
    sys.exit(77)

BROADCAST, CHANNEL, UNKNOWN, CUSTOM, RPC = 1, 2, 3, 4, 5
KEYS = ("source", "data", "rpc", "channel", "timestamp", "correlation_id")
METHOD_NOT_FOUND, INVALID_PARAMS, INTERNAL_SERVER_ERROR = -32601, -32602, -32603
RATE_LIMITED, APPLICATION_ERROR, ACCESS_DENIED = -32000, -32001, -32002

MSGPACK, JSON_TEXT = "webshocket.v1", "webshocket.v1.json"
FRAGMENT = 65536
MAX_CHANNELS = 5
RATE_LIMIT = 3  # a minute; no test lasts that long, so nobody's count begins again
CONNECTIONS = set()
CLOSES = asyncio.Queue()  # of what has been a connection: code and reason


def jsonable(value):
    """JSON says bytes in base64."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {jsonable(key): jsonable(item) for key, item in value.items()}
    return value


def encode(packet, is_json):
    if is_json:
        return json.dumps(jsonable(packet), ensure_ascii=False, separators=(",", ":")).encode()
    return msgpack.packb(packet)


def decode(payload, is_json):
    """The packet; what is none is the data of an UNKNOWN one."""
    with contextlib.suppress(Exception):  # msgpack alone has six kinds
        packet = json.loads(payload) if is_json else msgpack.unpackb(payload, strict_map_key=False)
        if type(packet["source"]) is int and BROADCAST <= packet["source"] <= RPC:
            return packet
    return {"source": UNKNOWN, "data": payload}


class ApplicationError(Exception):
    pass


class Methods:
    """What a client may call on its connection."""

    async def echo(self, x):
        return x

    async def add(self, a, b):
        if type(a) is not int or type(b) is not int:
            raise TypeError("add() takes two integers")
        return a + b

    async def sleep(self, ms):
        await asyncio.sleep(ms / 1000)
        return "slept"

    async def fail(self, msg):
        raise ApplicationError(msg)

    async def crash(self):
        raise RuntimeError("crashed, as asked")

    async def login(self, name):
        self.session["username"] = name

    async def grant(self, role):
        self.session.update(role=role, is_admin=role == "admin")

    async def secret(self):
        return "classified"

    async def whoami(self):
        return self.session["username"]

    async def limited(self):
        return "ok"

    limited_hard = limited

    async def join(self, channel):
        if len(self.subscriptions) == MAX_CHANNELS:
            return False
        self.subscriptions.add(channel)
        return True

    async def leave(self, channel):
        self.subscriptions.discard(channel)

    async def channels(self):
        return sorted(self.subscriptions)

    async def publish(self, channel, data, exclude_self=False):
        for other in list(CONNECTIONS):
            if any(fnmatch.fnmatchcase(channel, name) for name in other.subscriptions):
                if other is not self or not exclude_self:
                    await other.send(source=CHANNEL, data=data, channel=channel)

    async def broadcast(self, data, exclude_self=False):
        for other in list(CONNECTIONS):
            if other is not self or not exclude_self:
                await other.send(source=BROADCAST, data=data)

    async def count(self, n, crash=False):
        for i in range(n):
            yield i
        if crash:
            raise RuntimeError("crashed, as asked")

    async def unfinished(self):
        """Of this connection: streams neither ended nor aborted, and PINGs without a PONG."""
        return [len(self.running - self.aborted), len(self.socket.pings)]

    async def kick(self, code=1000, reason=""):
        await self.socket.close(code, reason)

    async def next_close(self):
        """How connections ended, one after the other: code and reason. Waits for the next one."""
        return await CLOSES.get()

    async def blob(self, n):
        return (bytes(range(251)) * (n // 251 + 1))[:n]


REQUIRED = {"secret": "is_admin", "whoami": "username"}  # in the session
LIMITED = {"limited", "limited_hard"}


class Connection(Methods):
    def __init__(self, options, socket):
        self.options = options
        self.socket = socket
        self.is_json = socket.subprotocol != MSGPACK
        self.opcode = Opcode.TEXT if socket.subprotocol == JSON_TEXT else Opcode.BINARY
        self.session = {}
        self.subscriptions = set()
        self.running = set()  # streams, by call id
        self.aborted = set()
        self.rates = collections.Counter()
        self.sending = asyncio.Lock()

    async def serve(self):
        calls = []
        CONNECTIONS.add(self)
        try:
            async for message in self.socket:
                packet = decode(message.encode() if isinstance(message, str) else message, self.is_json)
                request = packet.get("rpc")
                if packet["source"] != RPC or not request or request["type"] != "request":
                    await self.send(source=CUSTOM, data=packet.get("data"))
                elif request["method"] == "__abort__":
                    self.aborted.update(request["args"])
                else:
                    calls.append(asyncio.create_task(self.call(**request)))
        except websockets.ConnectionClosed:
            pass
        finally:
            CONNECTIONS.remove(self)
            CLOSES.put_nowait([self.socket.close_code, self.socket.close_reason])
            for call in calls:
                call.cancel()

    async def call(self, type, method, call_id, args=(), kwargs={}):
        function = vars(Methods).get(method)
        if not inspect.isfunction(function):
            await self.refuse(call_id, METHOD_NOT_FOUND, f"RPC method '{method}' not found.")
        elif method in REQUIRED and not self.session.get(REQUIRED[method]):
            await self.refuse(call_id, ACCESS_DENIED, f"Access denied for RPC method '{method}'.")
        elif method in LIMITED and self.rates[method] == RATE_LIMIT:
            if method == "limited_hard":
                await self.socket.close(1013, "Rate limit exceeded")
            await self.refuse(call_id, RATE_LIMITED, f"Rate limit exceeded for RPC method '{method}'.")
        else:
            self.rates[method] += 1
            run = self.run_stream if inspect.isasyncgenfunction(function) else self.run
            await run(call_id, function, args, kwargs)

    async def run(self, call_id, function, args, kwargs):
        try:
            await self.answer(call_id, await function(self, *args, **kwargs))
        except ApplicationError as error:
            await self.answer(call_id, str(error) or None, APPLICATION_ERROR)
        except Exception as error:
            code = INVALID_PARAMS if isinstance(error, TypeError) else INTERNAL_SERVER_ERROR
            await self.answer(call_id, f"Server error ({type(error).__name__}): {error}", code)

    async def run_stream(self, call_id, function, args, kwargs):
        self.running.add(call_id)
        chunk = error = None
        try:
            async for chunk in function(self, *args, **kwargs):
                await self.answer(call_id, chunk, is_stream=True)
                await asyncio.sleep(0)  # lets an abort be read
                if call_id in self.aborted:
                    return
        except Exception as exception:
            chunk, error = f"\nStream aborted: {exception}", INTERNAL_SERVER_ERROR
        self.running.discard(call_id)
        await self.answer(call_id, chunk, error, is_stream=True, is_end=True)

    async def refuse(self, call_id, code, text):
        await self.answer(call_id, text, code, is_end=True)
        if self.options.double_answer:
            await self.answer(call_id, None)

    async def answer(self, call_id, response, error=None, is_stream=False, is_end=False):
        rpc = {"type": "response", "call_id": call_id, "response": response, "error": error}
        if is_stream or not self.options.full:
            rpc.update(is_stream=is_stream, is_end=is_end)
        await self.send(source=RPC, rpc=rpc)

    async def send(self, **packet):
        packet = {key: packet.get(key) for key in KEYS if self.options.full or packet.get(key) is not None}
        payload = encode(packet, self.is_json)
        size = self.options.fragment or FRAGMENT
        # By hand: the library cuts text between characters only, and always ends with an empty fragment.
        async with self.sending:
            with contextlib.suppress(websockets.ConnectionClosed):
                for start in range(0, len(payload), size):
                    if start and self.options.fragment:
                        await self.socket.ping()
                    await self.socket.ensure_open()
                    piece, is_last = payload[start:start + size], start + size >= len(payload)
                    await self.socket.write_frame(is_last, Opcode.CONT if start else self.opcode, piece)


def tls_of(options):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.client_ca)
    context.load_cert_chain(options.cert, options.key)
    context.verify_mode = ssl.CERT_REQUIRED if options.client_ca else ssl.CERT_NONE
    return context


async def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, required=True, help="0 takes any free port")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--max-connection", type=int, metavar="N", help="more are refused with 503")
    for name in ("--cert", "--key", "--client-ca"):
        parser.add_argument(name, metavar="FILE", help="PEM")
    parser.add_argument("--full", action="store_true", help="packets as release 0.5.0 spells them")
    parser.add_argument("--double-answer", action="store_true", help="a second answer after a refusal")
    parser.add_argument("--fragment", type=int, metavar="N", help="fragments of N bytes, a PING between")
    options = parser.parse_args()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    def first_offer(offers, known):
        return next((name for name in offers if name in known), None)

    async def refuse_upgrade(path, headers):
        if len(CONNECTIONS) == options.max_connection:
            return http.HTTPStatus.SERVICE_UNAVAILABLE, [], b"Server is full, try again later."

    async with websockets.serve(
            lambda socket: Connection(options, socket).serve(), options.host, options.port,
            subprotocols=[MSGPACK, JSON_TEXT], select_subprotocol=first_offer,
            process_request=refuse_upgrade, ssl=tls_of(options) if options.cert else None,
            compression=None, max_size=None) as listener:
        print(f"listening on {options.host}:{listener.sockets[0].getsockname()[1]}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())
