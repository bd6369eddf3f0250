// Drives msrp-node-lib, an MSRP library for Node.js, as one end of a session. PEER
// is one JSON object: the folder of the library, the port to listen at, the path of
// the other end, and whether that connects to us ("active") or waits ("passive").
// What happens goes to stdout as JSON lines; commands are read from stdin, one JSON
// object a line.
import { createRequire } from "node:module";
import net from "node:net";
import readline from "node:readline";

const peer = JSON.parse(process.env.PEER);
const say = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }));
// The library takes what it reads at once for one frame and forgets what is behind, so it gets frames one by one.
const emit = net.Socket.prototype.emit;
net.Socket.prototype.emit = function (name, data, ...rest) {
  if (name !== "data" || !this.remoteAddress) return emit.call(this, name, data, ...rest);
  this.held = (this.held ?? "") + data.toString("latin1");
  for (let m; (m = /^MSRP (\S+) [^]*?\r\n-------\1[$+#]\r\n/.exec(this.held)); this.held = this.held.slice(m[0].length)) {
    emit.call(this, name, Buffer.from(m[0], "latin1"));
  }
  return true;
};

const silent = { debug() {}, info() {}, warn: (...a) => console.error(...a), error: (...a) => console.error(...a) };
const msrp = createRequire(import.meta.url)(peer.library)(
  { host: "127.0.0.1", port: peer.port, acceptTypes: "text/plain", setup: peer.setup === "active" ? "passive" : "active", sessionName: "test" }, silent);

// Older versions take functions where newer ones give promises.
const settled = (call) => new Promise((done, failed) => call(done, failed)?.then?.(done, failed));

await new Promise((started) => new msrp.Server().start(started));
const session = msrp.SessionController.createSession?.() ?? new msrp.Session();
session.on("message", (m) => say("message", { type: String(m.contentType), body: m.body }));
session.on("socketError", (e) => say("error", { error: String(e) }));

const host = /:(\d+)\//.exec(peer.path);
await settled((done, failed) => session.setDescription(
  ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0", `m=message ${host[1]} TCP/MSRP *`,
    "a=accept-types:text/plain", `a=path:${peer.path}`, `a=setup:${peer.setup}`, ""].join("\r\n"), done, failed));
const answer = await settled((done, failed) => session.getDescription(done, failed));
say("ready", { path: /^a=path:(.*)\r?$/m.exec(answer)[1] });

const send = (body) => session.sendMessage.length > 3
  ? session.sendMessage(body, "text/plain", () => say("sent"))
  : session.sendMessage(body, () => say("sent"), "text/plain");

for await (const line of readline.createInterface({ input: process.stdin })) {
  while (!session.socket) await new Promise((again) => setTimeout(again, 10)); // the other end has yet to connect
  send(JSON.parse(line).body);
}
process.exit(0);
