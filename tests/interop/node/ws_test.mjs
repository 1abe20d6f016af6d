// The ws package against our server and, as a fuzzing server does, against our client. Started by
// ../run_node_test.

import assert from "node:assert/strict";
import {execFileSync, spawn} from "node:child_process";
import {once} from "node:events";
import {mkdtempSync, readFileSync, rmSync} from "node:fs";
import {createRequire} from "node:module";
import {tmpdir} from "node:os";
import path from "node:path";
import {createInterface} from "node:readline";
import {cases} from "./cases.mjs";

const {WebSocket, WebSocketServer} =
  createRequire(path.join(process.env.WEBSHOCKET_NODE_CACHE, "x"))("ws");
const [programs] = process.argv.slice(2);
const kGuard = 60_000;  // only what hangs takes so long
const names = Object.keys(cases);
const folder = mkdtempSync(path.join(tmpdir(), "webshocket-node-"));
const tls = ["--cert", path.join(folder, "cert.pem"), "--key", path.join(folder, "key.pem")];
let tried = 0;
let failures = 0;

const check = async (title, test) => {
  let timer;
  ++tried;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("waited in vain")), kGuard);
  });
  try {
    await Promise.race([test(), late]);
  } catch (error) {
    ++failures;
    console.log(`not ok - ${title}\n${error.stack}`);
  }
  clearTimeout(timer);
};

const expectExtension = (socket, deflated) =>
  assert.equal(socket.extensions.includes("permessage-deflate"), deflated, socket.extensions);

const small = {
  threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true,
  serverMaxWindowBits: 9, clientMaxWindowBits: 9,
};

// --- ws as a client of our server -------------------------------------------------------------

const testServer = async (args, offers) => {
  const server = spawn(path.join(programs, "conformance_server"),
    ["--port", "0", "--raw-echo", "--shards", "2", ...args], {stdio: ["ignore", "pipe", "inherit"]});
  const [line] = await once(createInterface(server.stdout), "line");
  const secure = args.includes("--cert");
  const url = `${secure ? "wss" : "ws"}://${line.replace("listening on ", "")}/`;
  const ca = secure ? readFileSync(tls[1]) : undefined;
  for (const [offer, deflated] of offers) {
    for (const name of names) {
      const title = `our server ${args}, offered ${JSON.stringify(offer)}: ${name}`;
      await check(title, async () => {
        const socket = new WebSocket(url, {perMessageDeflate: offer, ca});
        await once(socket, "open");
        expectExtension(socket, deflated);
        await cases[name](socket);
      });
    }
  }
  const end = once(server, "exit");
  server.kill("SIGTERM");
  const [status] = await end;
  assert.equal(status, 0);
};

// --- ws as a server of our client -------------------------------------------------------------

const testClient = async (perMessageDeflate, deflated) => {
  const server = new WebSocketServer({host: "127.0.0.1", port: 0, perMessageDeflate});
  await once(server, "listening");
  server.on("connection", (socket, request) => {
    const url = new URL(request.url, "http://server");
    if (url.pathname === "/getCaseCount") {
      socket.send(String(names.length), () => socket.close(1000));
    } else if (url.pathname === "/runCase") {
      const name = names[Number(url.searchParams.get("case")) - 1];
      const title = `our client, accepted with ${JSON.stringify(perMessageDeflate)}: ${name}`;
      check(title, async () => {
        expectExtension(socket, deflated);
        await cases[name](socket);
      }).then(() => socket.terminate());
    } else {
      socket.close(1000);
    }
  });
  const client = spawn(path.join(programs, "autobahn_client"),
    [`ws://127.0.0.1:${server.address().port}`], {stdio: ["ignore", "ignore", "inherit"]});
  const [status] = await once(client, "exit");
  assert.equal(status, 0);
  server.close();
};

execFileSync("openssl", ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
  "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
  "-out", tls[1], "-keyout", tls[3]], {stdio: "ignore"});
await testServer([], [[false, false], [true, false]]);
await testServer(tls, [[false, false]]);
await testServer([...tls, "--deflate-context"], [[{threshold: 0}, true]]);
await testServer(["--deflate"], [[false, false], [true, true], [{threshold: 0}, true], [small, true]]);
await testServer(["--deflate-context"], [[{threshold: 0}, true], [small, true]]);
await testClient(false, false);
await testClient({threshold: 0}, true);
await testClient(small, true);
rmSync(folder, {recursive: true});
console.log(`${tried} tried, ${failures} failed`);
process.exit(failures === 0 ? 0 : 1);
