package header

import "strconv"

// SubscriptionState is a Subscription-State header field value (RFC 6665 section 8.2.3, 8.4). State and Reason are
// lower case, because tokens have no case: "active", "pending", "terminated" or an extension; "" is no
// reason. Expires and RetryAfter are seconds, -1 when absent.
type SubscriptionState struct {
	State      string
	Reason     string
	Expires    int
	RetryAfter int
	Params     Params // all others
}

// ParseSubscriptionState parses a Subscription-State header field value. States, reasons and parameters of
// extensions are kept; delta-seconds above 2^32-1 count as that.
func ParseSubscriptionState(s string) (SubscriptionState, error) {
	p := scanner{field: "Subscription-State", s: s}
	st := SubscriptionState{Expires: -1, RetryAfter: -1}
	p.space()
	state, err := p.token("a state")
	if err != nil {
		return SubscriptionState{}, err
	}
	st.State = lowered(state)
	for p.eat(';') {
		if len(st.Params) == maxParams {
			return SubscriptionState{}, p.fail("too many parameters")
		}
		if err := st.param(&p); err != nil {
			return SubscriptionState{}, err
		}
	}
	return st, p.end()
}

func (st *SubscriptionState) param(p *scanner) error {
	at := p.pos
	param, err := p.param()
	if err != nil {
		return err
	}
	repeated, bad := false, ""
	switch {
	case fold(param.Name, "reason"):
		repeated = st.Reason != ""
		if st.Reason = lowered(param.Value); param.Quoted || !IsToken(st.Reason) {
			bad = "a token"
		}
	case fold(param.Name, "expires"):
		repeated = st.Expires >= 0
		bad = paramSeconds(param, &st.Expires)
	case fold(param.Name, "retry-after"):
		repeated = st.RetryAfter >= 0
		bad = paramSeconds(param, &st.RetryAfter)
	default:
		repeated = st.Params.Has(param.Name)
		st.Params = append(st.Params, param)
	}
	switch {
	case repeated:
		return p.failAt(at, "parameter "+param.Name+" is repeated")
	case bad != "":
		return p.failAt(at, "the value of "+param.Name+" must be "+bad)
	}
	return nil
}

// paramSeconds stores the delta-seconds of a parameter, or returns what its value must be.
func paramSeconds(param Param, seconds *int) (bad string) {
	n, ok := deltaSeconds(param.Value)
	if param.Quoted || !ok {
		return "a number of seconds"
	}
	*seconds = int(n)
	return ""
}

// AppendTo appends the value. Zero seconds are rendered, -1 is not.
func (st SubscriptionState) AppendTo(dst []byte) []byte {
	dst = append(dst, st.State...)
	if st.Reason != "" {
		dst = append(append(dst, ";reason="...), st.Reason...)
	}
	if st.Expires >= 0 {
		dst = strconv.AppendInt(append(dst, ";expires="...), int64(st.Expires), 10)
	}
	if st.RetryAfter >= 0 {
		dst = strconv.AppendInt(append(dst, ";retry-after="...), int64(st.RetryAfter), 10)
	}
	return st.Params.AppendTo(dst)
}

// String renders the value as AppendTo does.
func (st SubscriptionState) String() string { return string(st.AppendTo(nil)) }
