// What is tried on a connection whose other end echoes each message. `socket` is a WebSocket of the
// ws package, open, and in whichever role.

import assert from "node:assert/strict";
import {once} from "node:events";

const kSizes = [
  0, 1, 125, 126, 127, 128, 1_000, 65_535, 65_536, 65_537, 200_000, 1_048_576, 16_777_216,
];

/// Of exactly so many bytes, with characters of every length.
const textOf = (size) => {
  const unit = "a\u00e9\u20ac\u{1f600}";
  const count = Math.floor(size / Buffer.byteLength(unit));
  return unit.repeat(count) + "x".repeat(size - count * Buffer.byteLength(unit));
};
const bytesOf = (size) => {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; ++i) bytes[i] = (i * 7) % 251;
  return bytes;
};

const echo = async (socket, message) => {
  const answer = once(socket, "message");
  socket.send(message);
  const [data, isBinary] = await answer;
  assert.equal(isBinary, typeof message !== "string");
  assert.ok(Buffer.from(message).equals(data), `${data.length} bytes came back otherwise`);
};

/// Closes, and returns the code and the reason that came back.
const closed = async (socket, ...how) => {
  const end = once(socket, "close");
  socket.close(...how);
  const [code, reason] = await end;
  return [code, reason.toString()];
};

/// A frame as it stands; masked with zeros where this end has to.
const sendFrame = (socket, first, payload, {masked = !socket._isServer} = {}) =>
  socket._socket.write(Buffer.concat([
    Buffer.from([first, payload.length | (masked ? 0x80 : 0)]),
    Buffer.alloc(masked ? 4 : 0),
    payload,
  ]));

export const cases = {
  "texts of every size": async (socket) => {
    for (const size of kSizes) await echo(socket, textOf(size));
    assert.deepEqual(await closed(socket, 1000), [1000, ""]);
  },
  "bytes of every size": async (socket) => {
    for (const size of kSizes) await echo(socket, bytesOf(size));
    assert.deepEqual(await closed(socket, 1000), [1000, ""]);
  },
  "1,000 messages at once, in order": async (socket) => {
    const heard = [];
    const all = new Promise((resolve) => {
      socket.on("message", (data) => heard.push(data.toString()) === 1_000 && resolve());
    });
    for (let i = 0; i < 1_000; ++i) socket.send(`message ${i}`);
    await all;
    heard.forEach((text, i) => assert.equal(text, `message ${i}`));
    assert.deepEqual(await closed(socket, 1000), [1000, ""]);
  },
  "a message in fragments, a ping between them": async (socket) => {
    const answers = once(socket, "message");
    const pong = once(socket, "pong");
    socket.send("\u20ac one ", {fin: false});
    socket.send("two ", {fin: false});
    socket.ping("between");
    socket.send("", {fin: false});
    socket.send("three", {fin: true});
    assert.equal((await pong)[0].toString(), "between");
    assert.equal((await answers)[0].toString(), "\u20ac one two three");
    await closed(socket, 1000);
  },
  "pings of every size": async (socket) => {
    for (const size of [0, 1, 64, 124, 125]) {
      const pong = once(socket, "pong");
      socket.ping(bytesOf(size));
      assert.ok(bytesOf(size).equals((await pong)[0]));
    }
    socket.pong("nobody asked");
    await echo(socket, "still there");
    await closed(socket, 1000);
  },
  "a close without a code": async (socket) => {
    assert.deepEqual(await closed(socket), [1005, ""]);
  },
  "what was sent before a close comes back before it": async (socket) => {
    const heard = [];
    socket.on("message", (data) => heard.push(data.toString()));
    for (let i = 0; i < 50; ++i) socket.send(`${i}`);
    assert.deepEqual(await closed(socket, 4000, "that is all"), [4000, "that is all"]);
    assert.equal(heard.length, 50);
  },
  "invalid text": async (socket) => {
    const end = once(socket, "close");
    sendFrame(socket, 0x81, Buffer.from([0x61, 0xff]));
    assert.equal((await end)[0], 1007);
  },
  "a reserved opcode": async (socket) => {
    const end = once(socket, "close");
    sendFrame(socket, 0x83, Buffer.alloc(0));
    assert.equal((await end)[0], 1002);
  },
  "a wrong mask": async (socket) => {
    const end = once(socket, "close");
    sendFrame(socket, 0x81, Buffer.from("x"), {masked: socket._isServer});
    assert.equal((await end)[0], 1002);
  },
};

for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000,
  3999, 4000, 4999]) {
  for (const reason of ["", "because \u20ac", "r".repeat(123)]) {
    cases[`a close with ${code} and ${Buffer.byteLength(reason)} bytes`] = async (socket) => {
      assert.deepEqual(await closed(socket, code, reason), [code, reason]);
    };
  }
}
