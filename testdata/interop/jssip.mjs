// Drives JsSIP, a browser's SIP library, over WebSocket; settings, commands and
// what is printed are those of sipjs.mjs. JsSIP has no call for PUBLISH, so a
// request of its own is sent with its request sender, which answers challenges.
import { createRequire } from "node:module";
import readline from "node:readline";

const phone = JSON.parse(process.env.PHONE);
const require = createRequire(phone.modules + "/");
globalThis.WebSocket = require("ws");
const JsSIP = require("jssip");
const inside = (name) => require(`${phone.modules}/jssip/lib/${name}.js`);
const RequestSender = inside("RequestSender");
const { OutgoingRequest } = inside("SIPMessage");

const say = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }));
const self = `sip:${phone.user}@${phone.domain}`;

const agent = new JsSIP.UA({
  sockets: [new JsSIP.WebSocketInterface(phone.url)],
  uri: self, password: phone.password, register: false, register_expires: 300,
});
agent.on("connected", () => say("connected"));
agent.on("registered", () => say("registered"));
agent.on("registrationFailed", (e) => say("register", { status: e.response?.status_code, cause: e.cause }));
agent.on("newMessage", ({ originator, request }) => {
  if (originator === "remote") say("message", { from: request.from.uri.toString(), body: request.body });
});

let subscriber, etag;

function publish(document, expires) {
  const headers = ["Event: presence", `Expires: ${expires}`];
  if (document) headers.push("Content-Type: application/pidf+xml");
  if (etag) headers.push(`SIP-If-Match: ${etag}`);
  const request = new OutgoingRequest("PUBLISH", JsSIP.URI.parse(self), agent, {}, headers, document);
  new RequestSender(agent, request, {
    onReceiveResponse: (r) => {
      if (r.status_code < 200) return;
      etag = r.getHeader("SIP-ETag");
      say("published", { status: r.status_code });
    },
  }).send();
}

const commands = {
  register: () => agent.register(),
  publish: ({ document }) => publish(document, 300),
  subscribe: ({ target }) => {
    subscriber = agent.subscribe(target, "presence", "application/pidf+xml", { expires: 300, contentType: "application/pidf+xml" });
    subscriber.on("accepted", () => say("subscribe", { status: 200 }));
    subscriber.on("notify", (final, request, body) => say("notify", { body: body ?? "" }));
    subscriber.on("terminated", (code, reason) => say("ended", { code, reason }));
    subscriber.subscribe();
  },
  message: ({ target, text }) => agent.sendMessage(target, text, {
    eventHandlers: {
      succeeded: ({ response }) => say("sent", { status: response.status_code }),
      failed: ({ response, cause }) => say("sent", { status: response?.status_code, cause }),
    },
  }),
  quit: () => {
    subscriber?.terminate();
    if (etag) publish("", 0);
    agent.unregister();
    setTimeout(() => process.exit(0), 300);
  },
};

readline.createInterface({ input: process.stdin })
  .on("line", (line) => { const { command, ...rest } = JSON.parse(line); commands[command](rest); })
  .on("close", () => process.exit(0));
agent.start();
