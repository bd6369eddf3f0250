// Drives SIP.js, a browser's SIP library, over WebSocket: registers, publishes,
// watches a peer and exchanges messages with it. Settings come as one JSON object
// in the environment variable PHONE; what happens goes to stdout as JSON lines,
// and commands are read from stdin, one JSON object a line.
import { createRequire } from "node:module";
import readline from "node:readline";

const phone = JSON.parse(process.env.PHONE);
const require = createRequire(phone.modules + "/");
globalThis.WebSocket = require("ws");
const { UserAgent, Registerer, RegistererState, Publisher, Subscriber, Messager } = await import(require.resolve("sip.js"));

const say = (event, fields = {}) => console.log(JSON.stringify({ event, ...fields }));
const answered = (event) => ({
  onAccept: (r) => say(event, { status: r.message.statusCode }),
  onReject: (r) => say(event, { status: r.message.statusCode }),
});

const agent = new UserAgent({
  uri: UserAgent.makeURI(`sip:${phone.user}@${phone.domain}`),
  authorizationUsername: phone.user,
  authorizationPassword: phone.password,
  transportOptions: { server: phone.url },
  logBuiltinEnabled: false,
  delegate: {
    onMessage: async (m) => {
      await m.accept();
      say("message", { from: m.request.from.uri.toString(), body: m.request.body });
    },
  },
});
await agent.start();
say("connected");

const registerer = new Registerer(agent, { expires: 300 });
registerer.stateChange.addListener((s) => s === RegistererState.Registered && say("registered"));
let publisher, subscriber;

const commands = {
  register: () => registerer.register({ requestDelegate: { onReject: (r) => say("register", { status: r.message.statusCode }) } }),
  publish: ({ document }) => {
    publisher ??= new Publisher(agent, UserAgent.makeURI(`sip:${phone.user}@${phone.domain}`), "presence", {
      body: document, contentType: "application/pidf+xml", expires: 300,
    });
    publisher.publish(document);
    untilTagged(publisher);
  },
  subscribe: ({ target, event = "presence" }) => {
    subscriber = new Subscriber(agent, UserAgent.makeURI(target), event, { expires: 300 });
    subscriber.delegate = { onNotify: async (n) => { await n.accept(); say("notify", { body: n.request.body }); } };
    subscriber.subscribe({ requestDelegate: answered("subscribe") });
  },
  message: ({ target, text }) =>
    new Messager(agent, UserAgent.makeURI(target), text).message({ requestDelegate: answered("sent") }),
  quit: async () => {
    await subscriber?.unsubscribe();
    await publisher?.unpublish();
    await registerer.unregister();
    setTimeout(() => process.exit(0), 300);
  },
};

// SIP.js tells nobody how a PUBLISH went; the entity-tag that it then holds does.
function untilTagged(p) {
  const poll = setInterval(() => {
    if (p.pubRequestEtag) { clearInterval(poll); say("published", { status: 200 }); }
  }, 20);
}

readline.createInterface({ input: process.stdin })
  .on("line", (line) => { const { command, ...rest } = JSON.parse(line); commands[command](rest); })
  .on("close", () => process.exit(0));
