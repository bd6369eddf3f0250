package header

import "testing"

func TestParseAccept(t *testing.T) {
	for in, want := range map[string]string{
		"application/pidf+xml, Application/XPIDF+xml":    "application/pidf+xml, application/xpidf+xml",
		"text/html;level=1;q=0.5;ext=\"a, b\", */* ;q=0": "text/html;level=1;q=0.500;ext=\"a, b\", */*;q=0.000",
		"text / * ; Q = 0.125":                           "text/*;q=0.125",
		"a/b;q=1.000":                                    "a/b",
		"a/b;q=0.;x":                                     "a/b;q=0.000;x",
		"a/b;q=1;x":                                      "a/b;q=1.000;x",
	} {
		if a, err := ParseAccept([]string{in}); err != nil || a.String() != want {
			t.Errorf("ParseAccept(%q) = %q, %v", in, a, err)
		}
	}
	for _, in := range []string{
		",", "a/b,", "a", "a/", "*/b", "a/b c/d", "a/b;q=2", "a/b;q=1.001", "a/b;q=0.1234", "a/b;q=-0", "a/b;q=.5", "a/b;q", `a/b;q="1"`,
		"a/b;q=1;q=1", "a/b;x=1;X=2", "a/b;", "a/b;q=00",
	} {
		if a, err := ParseAccept([]string{in}); err == nil {
			t.Errorf("ParseAccept(%q) = %q", in, a)
		}
	}
}

func TestAcceptChoose(t *testing.T) {
	offered := []string{"application/pidf+xml", "application/xpidf+xml", "multipart/related", "text/html;level=1"}
	for _, tt := range []struct {
		accept []string
		want   string
	}{
		{[]string{"Accept: application/xpidf+xml, application/pidf+xml"}, "application/pidf+xml"},
		{[]string{"Accept: application/pidf+xml;q=0.5, application/xpidf+xml"}, "application/xpidf+xml"},
		{[]string{"Accept: multipart/related", "Accept: application/xpidf+xml"}, "application/xpidf+xml"},
		{[]string{"Accept: */*"}, "application/pidf+xml"},
		{[]string{"Accept: */*, application/*;q=0"}, "multipart/related"},
		{[]string{"Accept: application/pidf+xml;q=0, */*;q=0.1"}, "application/xpidf+xml"},
		{[]string{"Accept: application/*;q=0.2, application/xpidf+xml;q=0.3, */*;q=0.1"}, "application/xpidf+xml"},
		{[]string{"Accept: text/html;level=2, multipart/*;q=0.1"}, "multipart/related"},
		{[]string{"Accept: text/html;q=0, text/html;Level=1"}, "text/html;level=1"},
		{[]string{"Accept: applicatio/*, text/plain, appl/*"}, ""},
		{[]string{"Accept: application/pidf+xml;q=0"}, ""},
		{[]string{"Accept:"}, ""},
		{nil, "application/pidf+xml"},
	} {
		a, err := ParseAccept(List(message(tt.accept...), "Accept"))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := a.Choose(offered); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%q: chosen %q, %v, want %q", tt.accept, got, ok, tt.want)
		}
		b, err := ParseAccept(Values(message(tt.accept...), "Accept"))
		if err != nil || b.String() != a.String() || (b == nil) != (a == nil) {
			t.Errorf("%q: values give %q, %v, elements %q", tt.accept, b, err, a)
		}
	}
	if got, ok := Accept(nil).Choose(nil); ok {
		t.Errorf("chosen %q of nothing", got)
	}
}
