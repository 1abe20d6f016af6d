// Remote calls to a webshocket server with nothing but WebSocket and JSON.
//
//   const rpc = new Rpc("ws://127.0.0.1:9300/chat");
//   rpc.onopen = async () => console.log(await rpc.call("add", 2, 3));
//   rpc.onpacket = (packet) => console.log(packet.channel, packet.data);

export const Code = {
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  rateLimited: -32000,
  application: -32001,
  denied: -32002,
  dropped: 0,  // ours: the connection went, and nobody can tell whether the call was carried out
};

export class RpcError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const kSourceRpc = 5;

export class Rpc {
  onopen = () => {};
  onclose = () => {};
  onpacket = () => {};
  #socket;
  #pending = new Map();
  #lastId = 0;

  constructor(url) {
    this.#socket = new WebSocket(url, "webshocket.v1.json");
    this.#socket.onopen = () => this.onopen();
    this.#socket.onmessage = (event) => this.#receive(JSON.parse(event.data));
    this.#socket.onclose = (event) => this.#drop(event.code, event.reason);
  }

  call(method, ...args) {
    if (this.#socket.readyState !== WebSocket.OPEN) {
      return Promise.reject(new RpcError(Code.dropped, "not connected"));
    }
    const call_id = String(++this.#lastId);
    this.#socket.send(
        JSON.stringify({source: kSourceRpc, rpc: {type: "request", method, args, call_id}}));
    return new Promise((resolve, reject) => this.#pending.set(call_id, {resolve, reject}));
  }

  // A link that is already dead would hold the closing handshake for a minute: whoever closes
  // wants to be done now, so the drop is not left to the socket's own close event.
  close() {
    this.#socket.close();
    this.#drop(1000, "");
  }

  #receive(packet) {
    if (packet.rpc?.type !== "response") return this.onpacket(packet);
    const {call_id, response, error} = packet.rpc;
    const call = this.#pending.get(call_id);
    if (!call) return;
    this.#pending.delete(call_id);
    if (error === null || error === undefined) call.resolve(response);
    else call.reject(new RpcError(error, response ?? "refused"));
  }

  #drop(code, reason) {
    const {onclose} = this;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.onclose = () => {};
    for (const {reject} of this.#pending.values()) {
      reject(new RpcError(Code.dropped, "the connection was lost"));
    }
    this.#pending.clear();
    onclose(code, reason);
  }
}
