// A browser's own WebSocket against the echo of conformance_server: what is sent comes back, plain,
// compressed, over TLS. Started by ../run_browser_test.

import assert from "node:assert/strict";
import {execFileSync} from "node:child_process";
import {mkdtempSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import path from "node:path";
import {Browser, Checks, Server} from "./support.mjs";

const program = process.argv[2];
const checks = new Checks();
const folder = mkdtempSync(path.join(tmpdir(), "webshocket-echo-"));
const key = path.join(folder, "key.pem");
const cert = path.join(folder, "cert.pem");
const kSizes = [0, 1, 125, 126, 127, 65_535, 65_536, 65_537, 1_000_000, 16 * 1024 * 1024];

// In the page. Resolves to what went wrong, and to the extensions that were agreed on.
const echo = ({url, sizes}) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  const wrong = [];
  const text = (size) => "déjà vu 😀 ".repeat(Math.ceil(size / 10)).slice(0, size).toWellFormed();
  const bytes = (size) => Uint8Array.from({length: size}, (_, i) => (i * 7) % 251);
  const queue = sizes.flatMap((size) => [text(Math.floor(size / 2)), bytes(size)]);
  let next = 0;
  const say = () => (next < queue.length ? socket.send(queue[next]) : socket.close(3001, "enough"));
  socket.onopen = say;
  socket.onmessage = ({data}) => {
    const sent = queue[next++];
    const same = typeof sent === "string" ? data === sent
        : data.byteLength === sent.length && new Uint8Array(data).every((b, i) => b === sent[i]);
    if (!same) wrong.push(`message ${next} of ${sent.length}`);
    say();
  };
  socket.onclose = ({code, reason, wasClean}) =>
      resolve({wrong, extensions: socket.extensions, end: [code, reason, wasClean], heard: next});
});

// What becomes of a connection that does `script(socket)` once it is open.
const ending = ({url, script}) => new Promise((resolve) => {
  const socket = new WebSocket(url);
  socket.onopen = () => new Function("socket", script)(socket);
  socket.onclose = ({code, reason, wasClean}) => resolve([code, reason, wasClean]);
});

let browser;
try {
  execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
    "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
    "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert], {stdio: "ignore"});
  browser = await Browser.launch("null", ["--ignore-certificate-errors"]);
  const page = await browser.person("page");

  const tls = ["--cert", cert, "--key", key];
  const forgets = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
  const remembers = "permessage-deflate; client_max_window_bits=15";
  for (const [title, scheme, args, extensions] of [
    ["plain", "ws", [], ""],
    ["compressed", "ws", ["--deflate"], forgets],
    ["compressed with contexts", "ws", ["--deflate-context"], remembers],
    ["over TLS", "wss", tls, ""],
    ["over TLS and compressed", "wss", [...tls, "--deflate"], forgets],
  ]) {
    const server = await Server.start(program, ["--port", "0", "--shards", "2", "--raw-echo", ...args]);
    const url = `${scheme}://${server.url}/`;
    await checks.check(`0 B to 16 MiB, ${title}`, async () => {
      const seen = await page.evaluate(echo, {url, sizes: kSizes});
      assert.deepEqual(seen, {wrong: [], extensions, end: [3001, "enough", true],
                              heard: 2 * kSizes.length});
    });
    await checks.check(`closing, ${title}`, async () => {
      const ends = (script) => page.evaluate(ending, {url, script});
      assert.deepEqual(await ends("socket.close()"), [1005, "", true]);
      assert.deepEqual(await ends("socket.close(1000)"), [1000, "", true]);
      assert.deepEqual(await ends("socket.close(4999, 'é'.repeat(61))"), [4999, "é".repeat(61), true]);
      assert.deepEqual(await ends("socket.send(new Uint8Array(16 * 1024 * 1024 + 1))"),
                       [1009, "Message is larger than 16777216 bytes (max_message)", true]);
    });
    await checks.check(`the server goes, ${title}`, async () => {
      await page.evaluate((to) => new Promise((resolve, reject) => {
        const socket = new WebSocket(to);
        window.left = new Promise((tell) => (socket.onclose = ({code}) => tell(code)));
        socket.onopen = resolve;
        socket.onerror = reject;
      }), url);
      assert.equal(await server.stop(), 0);
      assert.equal(await page.evaluate(() => window.left), 1001);
    });
  }
  await checks.check("the console stayed clean", () => assert.deepEqual(browser.errors, []));
} catch (error) {
  await checks.check("the test itself", () => { throw error; });
} finally {
  await browser?.close();
  rmSync(folder, {recursive: true});
}

process.exitCode = checks.finish();
