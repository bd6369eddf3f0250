package cli

import (
	"testing"

	"imp/internal/cli/kit"
	"imp/internal/sip/stack"
)

func TestProxyTarget(t *testing.T) {
	for _, tt := range []struct {
		acct kit.Account
		want stack.Target
	}{
		{kit.Account{}, stack.Target{}},
		{kit.Account{Proxy: kit.Proxy{Host: "192.0.2.1", Port: 5070}, Transport: "tcp"}, stack.Target{Addr: "192.0.2.1:5070", Transport: "tcp"}},
		{kit.Account{Proxy: kit.Proxy{Host: "2001:db8::1"}}, stack.Target{Addr: "2001:db8::1"}},
		{kit.Account{Proxy: kit.Proxy{Host: "presence"}}, stack.Target{Addr: "presence"}},
		{kit.Account{Proxy: kit.Proxy{Host: "printer.Local."}}, stack.Target{Addr: "printer.Local."}},
		{kit.Account{Proxy: kit.Proxy{Host: "example.com"}}, stack.Target{Addr: "example.com", URI: "sip:example.com"}},
		{kit.Account{Proxy: kit.Proxy{Host: "example.com", Port: 5071}, Transport: "tls"},
			stack.Target{Addr: "example.com:5071", Transport: "tls", URI: "sip:example.com:5071;transport=tls"}},
	} {
		if got := proxyTarget(&tt.acct); got != tt.want {
			t.Errorf("%+v goes to %+v, want %+v", tt.acct.Proxy, got, tt.want)
		}
	}
}
