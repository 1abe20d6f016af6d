// A TAP-like list of checks, the server as a child process, and a browser.

import assert from "node:assert/strict";
import {spawn} from "node:child_process";
import {once} from "node:events";
import {mkdirSync} from "node:fs";
import {createRequire} from "node:module";
import path from "node:path";
import {createInterface} from "node:readline";

// The packages live in a cache outside the source tree, where a plain import would not look.
const {chromium} = createRequire(path.join(process.env.WEBSHOCKET_BROWSER_CACHE, "x.js"))("playwright-core");

const kPatience = 15_000;

export class Checks {
  passed = 0;
  failed = 0;
  #pages = new Map();

  watch(name, page) {
    this.#pages.set(name, page);
  }

  async check(title, body) {
    try {
      await body();
      console.log(`ok ${++this.passed + this.failed} - ${title}`);
    } catch (error) {
      console.log(`not ok ${this.passed + ++this.failed} - ${title}`);
      console.log(String(error.stack ?? error).replace(/^/gm, "  # "));
      for (const [name, page] of this.#pages) {
        if (!page.isClosed()) await shoot(page, `failed-${this.passed + this.failed}-${name}`);
      }
    }
  }

  finish() {
    console.log(`1..${this.passed + this.failed}`);
    console.log(`${this.passed} passed, ${this.failed} failed`);
    return this.failed ? 1 : 0;
  }
}

const folder = process.env.WEBSHOCKET_SCREENSHOTS;
mkdirSync(folder, {recursive: true});
export const shoot = (page, name) => page.screenshot({path: path.join(folder, `${name}.png`)});

// Runs to its end: for what refuses to start.
export async function run(program, args) {
  const child = spawn(program, args, {stdio: ["ignore", "pipe", "pipe"]});
  let output = "";
  child.stdout.on("data", (bytes) => (output += bytes));
  child.stderr.on("data", (bytes) => (output += bytes));
  const [code] = await once(child, "close");
  return {code, output};
}

export class Server {
  static async start(program, args) {
    const server = new Server();
    server.child = spawn(program, args, {stdio: ["ignore", "pipe", "inherit"]});
    server.ended = once(server.child, "exit");
    const lines = createInterface({input: server.child.stdout});
    const line = await Promise.race([
      (async () => {
        for await (const text of lines) {
          const found = text.match(/^webshocketd: open (https?:\/\/\S+\/) in two tabs$/) ??
              text.match(/^listening on (\S+)$/);
          if (found) return found[1];
        }
        return "";
      })(),
      server.ended.then(([code]) => assert.fail(`the server ended with ${code} before it listened`)),
    ]);
    assert.ok(line, "the server did not tell its address");
    server.child.stdout.resume();
    server.url = line;
    server.port = Number(line.match(/:(\d+)\/?$/)[1]);
    return server;
  }

  async stop(signal = "SIGTERM") {
    this.child.kill(signal);
    const [code] = await this.ended;
    return code;
  }
}

export class Browser {
  errors = [];
  strangers = [];
  expectLoss = false;  // while the server is away, a refused connection is no error
  #browser;
  #origin;

  static async launch(origin, more = []) {
    const browser = new Browser();
    browser.#origin = origin;
    browser.#browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      args: [
        "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", ...more,
      ],
    });
    return browser;
  }

  // Each person has a context of her own: no shared storage, as on two machines.
  async person(name, options = {}) {
    const context = await this.#browser.newContext({viewport: {width: 1280, height: 800}, ...options});
    context.setDefaultTimeout(kPatience);
    context.on("page", (page) => this.#listen(name, page));
    return context.newPage();
  }

  #listen(name, page) {
    page.on("pageerror", (error) => this.errors.push(`${name}: ${error.stack}`));
    page.on("console", (message) => {
      const text = message.text();
      if (message.type() !== "error" && message.type() !== "warning") return;
      if (this.expectLoss && text.includes("WebSocket connection to")) return;
      this.errors.push(`${name}: ${text}`);
    });
    page.on("request", (request) => {
      if (new URL(request.url()).origin !== this.#origin) this.strangers.push(request.url());
    });
    page.on("response", (response) => {
      if (response.status() >= 400) this.errors.push(`${name}: ${response.status()} ${response.url()}`);
    });
  }

  close() {
    return this.#browser.close();
  }
}
