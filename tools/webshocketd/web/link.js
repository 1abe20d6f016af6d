// Keeps one Rpc connection alive: connects, notices that it died, waits longer each time it fails.

import {Code, Rpc, RpcError} from "./rpc.js";

const kFirstWait = 500;
const kLongestWait = 15_000;
const kConnectTimeout = 8_000;
const kProbeEvery = 20_000;
const kProbeTimeout = 8_000;

export class Link {
  state = "connecting";  // connecting | live | reconnecting | offline
  retryAt = 0;           // while reconnecting: when the next attempt starts
  #url;
  #on;
  #rpc = null;
  #fails = 0;
  #timer = 0;
  #probe = 0;

  // on.state(state), on.packet(packet), on.probe() → a promise that a dead connection never settles
  constructor(url, on) {
    this.#url = url;
    this.#on = on;
    addEventListener("online", () => this.retryNow());
    addEventListener("offline", () => this.state !== "live" && this.#wait());
  }

  call(method, ...args) {
    return this.#rpc?.call(method, ...args) ??
        Promise.reject(new RpcError(Code.dropped, "not connected"));
  }

  // Safe at any time: a connection that lives, or is being made, is left alone.
  retryNow() {
    if (this.#rpc) return;
    clearTimeout(this.#timer);
    const rpc = new Rpc(this.#url);
    this.#rpc = rpc;
    rpc.onopen = () => this.#opened();
    rpc.onclose = () => this.#closed();
    rpc.onpacket = (packet) => this.#on.packet(packet);
    this.#timer = setTimeout(() => rpc.close(), kConnectTimeout);
    this.#enter("connecting");
  }

  #opened() {
    clearTimeout(this.#timer);
    this.#fails = 0;
    this.#probe = setInterval(() => this.check(), kProbeEvery);
    this.#enter("live");
  }

  // A socket whose network went away stays "open" for minutes, and the browser does not show the
  // server's pings to the page; so the page asks for an answer of its own now and then.
  async check() {
    const rpc = this.#rpc;
    if (this.state !== "live") return this.retryNow();
    const timer = setTimeout(() => rpc.close(), kProbeTimeout);
    await Promise.resolve(this.#on.probe()).catch(() => {});
    clearTimeout(timer);
  }

  #closed() {
    clearInterval(this.#probe);
    clearTimeout(this.#timer);
    this.#rpc = null;
    this.#wait();
  }

  #wait() {
    if (this.#rpc) return;
    clearTimeout(this.#timer);
    if (!navigator.onLine) return this.#enter("offline");
    // The jitter keeps a thousand pages from knocking in the same instant after a restart.
    const wait = Math.min(kLongestWait, kFirstWait * 2 ** this.#fails++) * (0.8 + 0.4 * Math.random());
    this.retryAt = Date.now() + wait;
    this.#timer = setTimeout(() => this.retryNow(), wait);
    this.#enter("reconnecting");
  }

  #enter(state) {
    this.state = state;
    this.#on.state(state);
  }
}
