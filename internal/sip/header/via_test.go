package header

import "testing"

func TestParseVia(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want string
	}{
		{"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"},
		{" sip  /   2.0\t/udp     h.example.com : 5060 ;\tBranch =  z9hG4bK9ikj8 ", "SIP/2.0/UDP h.example.com:5060;Branch=z9hG4bK9ikj8"},
		{"SIP/2.0/UNKNOWN t4.example.com;branch=a", "SIP/2.0/UNKNOWN t4.example.com;branch=a"},
		{"SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z", "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z"},
		{"SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];ttl=16;maddr=224.2.0.1", "SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];ttl=16;maddr=224.2.0.1"},
		{"SIP/2.0/WSS x.invalid;alias;keep=\"a b\"", "SIP/2.0/WSS x.invalid;alias;keep=\"a b\""},
	} {
		if v, err := ParseVia(tt.in); err != nil || v.String() != tt.want {
			t.Errorf("ParseVia(%q) = %q, %v", tt.in, v, err)
		}
	}
	for _, in := range []string{
		"", "SIP", "SIP/2.0", "SIP/2.0/UDP", "SIP/2.0/UDP ", "SIP/2.0 UDP h", "SIP/2.0/UDPh;x", "SIP/2.0/UDP[::1]", "SIP/2.0/UDP h:", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h:99999",
		"SIP/2.0/UDP h;;", "SIP/2.0/UDP h;branch", "SIP/2.0/UDP h;branch=", `SIP/2.0/UDP h;branch="a"`, "SIP/2.0/UDP h;branch=a;BRANCH=b", "SIP/2.0/UDP h;rport=x",
		"SIP/2.0/UDP h;rport=0", "SIP/2.0/UDP h;rport=65536", "SIP/2.0/UDP h;received=h", "SIP/2.0/UDP h;received", "SIP/2.0/UDP h;ttl=256", "SIP/2.0/UDP h;ttl=0001",
		"SIP/2.0/UDP h;maddr=a_b", "SIP/2.0/UDP h, SIP/2.0/UDP g", "SIP/2.0/UDP h x", "SIP/2.0/UDP ::1", `SIP/2.0/UDP h;received="1.2.3.4"`,
	} {
		if v, err := ParseVia(in); err == nil {
			t.Errorf("ParseVia(%q) = %q", in, v)
		}
	}
}

func TestViaParams(t *testing.T) {
	v, err := ParseVia("SIP/2.0/UDP h;RPORT=9;Received=[2001:db8::1];branch=b")
	if err != nil {
		t.Fatal(err)
	}
	if port, ok := v.RPort(); port != 9 || !ok {
		t.Errorf("RPort = %d, %v", port, ok)
	}
	if addr, ok := v.Received(); addr.String() != "2001:db8::1" || !ok {
		t.Errorf("Received = %v, %v", addr, ok)
	}
	if v.Branch() != "b" {
		t.Errorf("Branch = %q", v.Branch())
	}
	v = Via{Protocol: "SIP/2.0", Transport: "UDP", Host: "h", Params: Params{{Name: "rport"}}}
	if port, ok := v.RPort(); port != 0 || !ok {
		t.Errorf("RPort without a value = %d, %v", port, ok)
	}
	if _, ok := v.Received(); ok || v.Branch() != "" {
		t.Error("absent parameters are found")
	}
}
