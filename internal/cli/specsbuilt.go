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

// notYet is the reason for what is planned.
const notYet = "not built yet"

// pidfTools are the commands for presence documents.
var pidfTools = []string{"pidf new", "pidf show", "publish", "fetch", "subscribe"}

// built has the documents by the names that specs.json uses.
var built = map[string]implementation{
	"RFC 3261": by("lab", "presence-server", "registrar", "register", "msrp-send", "msrp-recv").in("sip/stack", "sip/header", "sip/dialog", "sip/proxy", "server/registrar", "agent/call").but("calls carry MSRP only"),
	"RFC 6665": by("subscribe", "fetch", "presence-server").in("sip/event"),
	"RFC 3265": left("obsolete: RFC 6665 is built"),
	"RFC 3856": by("subscribe", "fetch", "presence-server").in("server/presence", "agent/presence"),
	"RFC 4662": by("subscribe", "fetch", "watch", "presence-server", "lab", "xml check", "decode").in("server/rls", "doc/rlmi").but("lists of other servers are not followed into lists"),
	"RFC 5367": by("subscribe", "watch", "presence-server", "lab").in("server/rls"),
	"RFC 3903": by("publish", "presence-server").in("sip/event", "agent/presence"),
	"RFC 3863": by(pidfTools...).in("doc/pidf"),
	"RFC 4479": by(pidfTools...).in("doc/pidf"),
	"RFC 4480": by(pidfTools...).in("doc/pidf"),
	"RFC 4481": by("pidf show").in("doc/pidf"),
	"RFC 4482": by("pidf new", "pidf show").in("doc/pidf"),
	"RFC 5196": by("pidf new", "pidf show").in("doc/pidf"),
	"RFC 4745": by("rules show", "rules allow", "rules explain", "presence-server", "lab", "xml check").in("doc/rules", "server/presence"),
	"RFC 5025": by("rules show", "rules allow", "rules explain", "presence-server", "xcap-server", "lab", "xml check").in("doc/rules", "server/presence", "xcap/usage"),
	"RFC 3857": by("watchers", "subscribe", "presence-server", "lab").in("server/presence/winfo", "agent/watchers"),
	"RFC 3858": by("watchers", "presence-server", "xml check").in("doc/winfo"),
	"RFC 4825": by("xcap-server", "xcap get", "xcap put", "xcap delete", "xcap caps", "list add", "lab").in("server/xcap", "xcap/client", "xcap/uri", "xcap/usage", "xcap/resource", "doc/xcaperror"),
	"RFC 5875": by("xcap watch", "xcap mirror", "xcap-server", "lab").in("server/xcapnotify", "agent/xcapwatch"),
	"RFC 5874": by("xcap watch", "xml check", "xml diff", "xml patch").in("xml/patch", "doc/xcapdiff"),
	"RFC 4826": by("xcap-server", "lab", "list show", "list add", "list flatten", "xml check").in("xcap/usage", "server/xcap", "server/rls", "doc/lists"),
	"RFC 4827": by("xcap-server", "presence-server", "lab").in("xcap/usage", "server/presence"),
	"RFC 5344": left("use cases, nothing to build"),
	"RFC 4660": by("subscribe", "fetch", "presence-server", "filter apply").in("doc/filter", "server/presence").but("list servers take no filters"),
	"RFC 4661": by("filter apply", "subscribe", "fetch", "presence-server").in("doc/filter"),
	"RFC 5262": by("pidf diff", "pidf patch", "xml diff", "xml patch", "subscribe", "publish").in("xml/patch", "doc/pidfdiff"),
	"RFC 5263": by("subscribe", "fetch", "presence-server").in("server/presence", "doc/pidfdiff"),
	"RFC 5264": by("publish", "presence-server").in("server/presence", "sip/event", "doc/pidfdiff"),
	"RFC 5261": by("xml patch", "xml diff", "xml select").in("xml/patch", "xml/selector"),
	"RFC 5112": left("a dictionary for SigComp, which no client in use speaks"),
	"RFC 3320": left("no client in use speaks SigComp"),
	"RFC 6446": by("subscribe", "presence-server").in("sip/event"),
	"RFC 3428": by("message", "listen", "presence-server", "registrar").in("agent/pager", "sip/proxy"),
	"RFC 5365": left(notYet),
	"RFC 4975": by("msrp-send", "msrp-recv", "bench msrp").in("msrp/wire", "msrp/session", "agent/call"),
	"RFC 3862": by("cpim wrap", "cpim unwrap").in("doc/cpim"),
	"RFC 4976": by("msrp-relay", "msrp-send", "msrp-recv", "lab").in("server/relay", "msrp/relayclient"),
	"RFC 6135": by("msrp-send", "msrp-recv").in("msrp/session", "doc/sdp"),
	"RFC 6714": by("msrp-send", "msrp-recv").in("msrp/session", "doc/sdp"),
	"RFC 4353": left(notYet),
	"RFC 5239": left("the conference object of a room will be in its terms, its control protocols will not"),
	"RFC 7701": left(notYet),
	"RFC 3994": by("message", "listen", "xml check").in("doc/composing", "agent/pager").but("MSRP sessions tell nothing of typing"),
	"RFC 5438": by("message", "listen", "imdn new", "imdn show", "cpim wrap").in("doc/imdn", "doc/cpim", "agent/pager").but("there is no intermediary that notifies"),
	"RFC 2026": left("describes the IETF's process, nothing to build"),
	"RFC 4575": by("xml check").in("doc/conference").but("documents are built, the event package is not"),
	"RFC 4579": left(notYet),
	"RFC 6501": left(notYet),
	"RFC 8266": left(notYet),
	"RFC 5547": by("msrp-send", "msrp-recv", "msrp-fetch").in("msrp/file", "doc/sdp", "agent/call"),
	"RFC 7977": by("msrp-relay", "msrp-send", "msrp-recv", "bench msrp").in("msrp/session", "server/relay", "transport/websocket"),
	"RFC 7118": by("lab", "presence-server", "registrar", "fetch", "subscribe", "publish", "message", "listen").in("transport/websocket", "sip/stack"),
	"RFC 8873": left("a browser's data channels need DTLS and SCTP, which a shell has no use for"),
	"RFC 4145": by("msrp-send", "msrp-recv").in("doc/sdp", "msrp/session"),
	"RFC 8122": by("msrp-send", "msrp-recv").in("doc/sdp", "msrp/session"),
	"RFC 7351": by("xml patch", "xml diff").in("xml/patch"),
	"RFC 5789": by("xcap patch", "xcap-server").in("server/xcap", "xcap/client"),
	"RFC 7303": by("xml fmt", "xml select", "xml patch").in("xml/charset"),
	"RFC 5363": left("lists are united, nothing sends to them yet").in("doc/lists"),
	"RFC 5364": by("xml check").in("doc/lists").but("recipients and their history are built, no service sends to them yet"),
	"RFC 5366": left(notYet),
	"RFC 5360": left("list services will ask their own rules for consent instead"),
	"RFC 8591": left(notYet),
	"RFC 8550": left(notYet),
	"RFC 8551": left(notYet),
	"RFC 3860": by("fetch", "message").in("sip/header", "transport/resolve"),
	"RFC 3861": by("fetch", "subscribe", "publish", "message").in("transport/resolve"),
	"RFC 7616": by("presence-server", "registrar", "xcap-server", "msrp-relay", "publish", "subscribe", "fetch", "register", "message", "xcap get").in("auth/digest"),
	"RFC 8760": by("presence-server", "registrar", "publish", "subscribe", "fetch", "register", "message").in("auth/digest", "sip/identity"),
	"RFC 8996": by("lab", "presence-server", "registrar").in("auth/certs"),
}
