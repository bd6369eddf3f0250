package identity

import (
	"errors"
	"fmt"

	"github.com/emiago/sipgo/sip"

	"imp/internal/auth/digest"
	"imp/internal/sip/header"
	"imp/internal/sip/stack"
)

// Wire is what a Client sends through: non-INVITE client transactions. done is
// called once, with a final response or an error.
type Wire interface {
	Send(o *stack.Outgoing, done func(*sip.Response, error))
}

// ClientConfig says how a Client works. Wire and Credentials are needed.
type ClientConfig struct {
	Wire Wire
	// Credentials gives the user name and the password for a realm. It is called
	// when a challenge asks for them the first time, and again after they were
	// refused; maybe from several requests at once.
	Credentials func(realm string) (user, password string, err error)
	// Unproven is told when a server does not prove that it knows the password
	// (RFC 7616 section 3.5); nil: nobody is.
	Unproven func(error)
}

// Client authenticates the requests of one user agent, towards servers and
// towards proxies (RFC 3261 sections 22.2 and 22.3). It is a Wire which adds
// credentials to requests as soon as it has a nonce for them, and Answer answers
// challenges. Its methods may be called concurrently.
type Client struct {
	cfg           ClientConfig
	server, proxy *digest.Client
}

// NewClient makes a Client.
func NewClient(cfg ClientConfig) *Client {
	c := digest.ClientConfig{Credentials: cfg.Credentials}
	return &Client{cfg: cfg, server: digest.NewClient(c), proxy: digest.NewClient(c)}
}

// exchange is one request from its first sending to its last retry.
type exchange struct {
	server, proxy *digest.Request
	added         int // bytes of credentials at the end of Head
}

func (c *Client) begin(o *stack.Outgoing) *exchange {
	return &exchange{server: c.server.Request(o.Method, o.URI, o.Body), proxy: c.proxy.Request(o.Method, o.URI, o.Body)}
}

// authorized is o with credentials in place of those it has, and o itself when
// there are none. The CSeq is left as it is.
func (x *exchange) authorized(o *stack.Outgoing) *stack.Outgoing {
	servers, proxies := x.server.Authorization(), x.proxy.Authorization()
	if len(servers)+len(proxies) == 0 {
		return o
	}
	bare := o.Head[:len(o.Head)-x.added]
	head := make([]byte, len(bare), len(bare)+320*(len(servers)+len(proxies)))
	copy(head, bare)
	for _, v := range servers {
		head = append(append(append(head, "Authorization: "...), v...), "\r\n"...)
	}
	for _, v := range proxies {
		head = append(append(append(head, "Proxy-Authorization: "...), v...), "\r\n"...)
	}
	x.added = len(head) - len(bare)
	again := *o
	again.Head, again.Attached = head, x
	return &again
}

// Send sends o, with credentials when there is a nonce at hand.
func (c *Client) Send(o *stack.Outgoing, done func(*sip.Response, error)) {
	x, again := o.Attached.(*exchange)
	if !again {
		x = c.begin(o)
		o = x.authorized(o)
	}
	c.cfg.Wire.Send(o, func(res *sip.Response, err error) {
		if err == nil && res.IsSuccess() {
			c.accepted(x.server, res, "Authentication-Info")
			c.accepted(x.proxy, res, "Proxy-Authentication-Info")
		}
		done(res, err)
	})
}

// accepted looks at what the server says about itself.
func (c *Client) accepted(r *digest.Request, res *sip.Response, field string) {
	info, ok, err := header.Single(res, field)
	if err != nil || !ok {
		return
	}
	if err := r.Accepted(info, res.Body()); errors.Is(err, digest.ErrUnproven) && c.cfg.Unproven != nil {
		c.cfg.Unproven(err)
	}
}

// Answer answers a challenge: res is a 401 or 407 to o. It returns o with
// credentials, whose CSeq must be raised before it is sent, or why there are
// none to try: the errors are those of digest.Request.Challenged.
func (c *Client) Answer(res *sip.Response, o *stack.Outgoing) (*stack.Outgoing, error) {
	x, again := o.Attached.(*exchange)
	if !again {
		x = c.begin(o)
	}
	var err error
	switch res.StatusCode {
	case sip.StatusUnauthorized:
		err = x.server.Challenged(header.Values(res, "WWW-Authenticate"))
	case sip.StatusProxyAuthRequired:
		err = x.proxy.Challenged(header.Values(res, "Proxy-Authenticate"))
	default:
		err = fmt.Errorf("answering a challenge: status %d is none", res.StatusCode)
	}
	if err != nil {
		return nil, err
	}
	return x.authorized(o), nil
}
