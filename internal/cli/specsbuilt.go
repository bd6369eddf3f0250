package cli

// implementation says what of a document is built: the commands that use it, the packages below internal/ that implement it, or why it is left out.
type implementation struct {
	commands, packages []string
	why                string
}

func by(commands ...string) implementation { return implementation{commands: commands} }

func (i implementation) in(packages ...string) implementation {
	i.packages = packages
	return i
}

func (i implementation) but(why string) implementation {
	i.why = why
	return i
}

func left(why string) implementation { return implementation{why: why} }

// built has the documents by the names that specs.json uses.
var built = map[string]implementation{
	"RFC 3261": by("register", "registrar", "lab", "probe", "trace").in("sip/stack", "sip/header", "sip/dialog", "sip/proxy", "server/registrar"),
	"RFC 6665": by("subscribe", "watch", "fetch", "presence-server").in("sip/event"),
	"RFC 3265": left("obsolete: RFC 6665 is built"),
	"RFC 3856": by("subscribe", "watch", "fetch", "presence-server").in("server/presence", "agent/presence"),
	"RFC 4662": by("subscribe", "presence-server", "list flatten").in("server/rls", "doc/rlmi"),
	"RFC 5367": by("subscribe").in("server/rls", "doc/lists"),
	"RFC 3903": by("publish", "presence-server").in("sip/event", "agent/presence"),
	"RFC 3863": by("pidf new", "pidf show", "publish").in("doc/pidf"),
	"RFC 4479": by("pidf new", "pidf show", "pidf compose").in("doc/pidf"),
	"RFC 4480": by("pidf new", "pidf show", "publish").in("doc/pidf"),
	"RFC 4481": by("pidf show").in("doc/pidf"),
	"RFC 4482": by("pidf show").in("doc/pidf"),
	"RFC 5196": by("pidf show").in("doc/pidf"),
	"RFC 4745": by("rules show", "rules allow", "rules block", "rules explain").in("doc/rules"),
	"RFC 5025": by("rules show", "rules allow", "rules polite-block", "rules explain").in("doc/rules", "xcap/usages"),
	"RFC 3857": by("watchers", "presence-server").in("server/presence"),
	"RFC 3858": by("watchers").in("doc/winfo"),
	"RFC 4825": by("xcap get", "xcap put", "xcap delete", "xcap-server").in("xcap/uri", "xcap/key", "xcap/client", "xcap/usages", "server/xcap"),
	"RFC 5875": by("xcap watch", "xcap mirror").in("server/xcapnotify", "agent/xcapwatch"),
	"RFC 5874": by("xml diff", "xml patch", "xcap watch").in("doc/xcapdiff"),
	"RFC 4826": by("list show", "list add", "list flatten", "xcap-server").in("doc/lists", "xcap/usages"),
	"RFC 4827": by("xcap put", "xcap-server").in("xcap/usages", "server/presence"),
	"RFC 5344": left("use cases, nothing to build"),
	"RFC 4660": by("subscribe", "filter apply").in("doc/filter"),
	"RFC 4661": by("filter apply").in("doc/filter"),
	"RFC 5262": by("pidf diff", "pidf patch").in("doc/pidfdiff"),
	"RFC 5263": by("subscribe", "presence-server").in("doc/pidfdiff", "server/presence"),
	"RFC 5264": by("publish", "presence-server").in("doc/pidfdiff", "server/presence"),
	"RFC 5261": by("xml patch", "xml diff").in("xml/patch", "xml/selector"),
	"RFC 5112": left("a dictionary for SigComp, which no client in use speaks"),
	"RFC 3320": left("no client in use speaks SigComp"),
	"RFC 6446": by("subscribe", "presence-server").in("sip/event"),
	"RFC 3428": by("message", "listen").in("agent/pager"),
	"RFC 5365": by("message").in("server/relay", "doc/lists"),
	"RFC 4975": by("msrp-send", "msrp-recv").in("msrp/wire", "msrp/session"),
	"RFC 3862": by("cpim wrap", "cpim unwrap", "message").in("doc/cpim"),
	"RFC 4976": by("msrp-relay", "msrp-send", "msrp-recv").in("server/relay", "msrp/relayclient"),
	"RFC 6135": by("msrp-send", "msrp-recv").in("agent/call", "doc/sdp"),
	"RFC 6714": by("msrp-send", "msrp-recv").in("agent/call", "doc/sdp"),
	"RFC 4353": by("chat-server").in("server/chat"),
	"RFC 5239": left("the conference object of a room is built in its terms, its control protocols are not"),
	"RFC 7701": by("chat-server", "chat-join").in("server/chat", "agent/room"),
	"RFC 3994": by("message", "listen", "msrp-send").in("doc/composing"),
	"RFC 5438": by("imdn new", "imdn show", "message", "listen").in("doc/imdn"),
	"RFC 2026": left("describes the IETF's process, nothing to build"),
	"RFC 4575": by("chat-server", "chat-join").in("doc/conference", "server/chat"),
	"RFC 4579": by("chat-server", "chat-join").in("server/chat", "agent/room"),
	"RFC 6501": by("chat-server").in("doc/conference").but("only the nickname attribute is built"),
	"RFC 8266": by("chat-server", "chat-join").in("server/chat"),
	"RFC 5547": by("msrp-send", "msrp-recv").in("msrp/file", "doc/sdp"),
	"RFC 7977": by("msrp-relay", "msrp-send").in("msrp/session", "transport/websocket"),
	"RFC 7118": by("lab", "presence-server").in("sip/stack", "transport/websocket"),
	"RFC 8873": left("a browser's data channels need DTLS and SCTP, which a shell has no use for"),
	"RFC 4145": by("msrp-send", "msrp-recv").in("doc/sdp", "agent/call"),
	"RFC 8122": by("msrp-send", "msrp-recv").in("doc/sdp", "agent/call"),
	"RFC 7351": by("xml patch", "xml diff", "xcap patch").in("xml/patch", "server/xcap"),
	"RFC 5789": by("xcap patch").in("server/xcap"),
	"RFC 7303": by("xml check").in("xml/tree"),
	"RFC 5363": by("message", "subscribe").in("doc/lists"),
	"RFC 5364": by("message").in("doc/lists"),
	"RFC 5366": by("chat-join").in("server/chat", "doc/lists"),
	"RFC 5360": left("list services ask their own rules for consent instead"),
	"RFC 8591": by("message", "listen").in("doc/smime"),
	"RFC 8550": by("message", "listen").in("doc/smime"),
	"RFC 8551": by("message", "listen").in("doc/smime"),
	"RFC 3860": by("message").in("sip/header", "transport/resolve"),
	"RFC 3861": by("message", "subscribe").in("transport/resolve"),
	"RFC 7616": by("register", "xcap get", "registrar").in("auth/digest"),
	"RFC 8760": by("register", "registrar").in("auth/digest"),
	"RFC 8996": by("lab").in("sip/stack", "msrp/session"),
}
