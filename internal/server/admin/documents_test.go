package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strings"
	"testing"
)

// numbered yields n documents, then an error if there is one.
func numbered(n int, end error) func(context.Context) iter.Seq2[Document, error] {
	return func(context.Context) iter.Seq2[Document, error] {
		return func(yield func(Document, error) bool) {
			for i := range n {
				if !yield(Document{Path: fmt.Sprintf("a/users/u/%d", i), ETag: "t", Body: []byte{'<', byte(i), 0xFF}}, nil) {
					return
				}
			}
			if end != nil {
				yield(Document{}, end)
			}
		}
	}
}

func TestExport(t *testing.T) {
	for name, end := range map[string]error{"all": nil, "cut off": errors.New("no store")} {
		t.Run(name, func(t *testing.T) {
			status, body := ask(t, "GET", serve(t, Config{Documents: &Documents{All: numbered(300, end)}})+"/documents", "")
			lines := json.NewDecoder(strings.NewReader(body))
			for i := range 300 {
				var l ExportLine
				if err := lines.Decode(&l); status != 200 || err != nil || l.Document == nil || l.Path != fmt.Sprintf("a/users/u/%d", i) || string(l.Body) != string([]byte{'<', byte(i), 0xFF}) {
					t.Fatalf("line %d: %+v, %v", i, l, err)
				}
			}
			var last ExportLine
			if err := lines.Decode(&last); err != nil || last.Document != nil || last.End != (end == nil) || end == nil && last.Count != 300 || end != nil && last.Error != "no store" {
				t.Errorf("%+v, %v", last, err)
			}
			if lines.More() {
				t.Error("there is more")
			}
		})
	}
}

func TestOneDocument(t *testing.T) {
	url := serve(t, Config{Documents: &Documents{Serve: func(w http.ResponseWriter, r *http.Request, path string) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, r.Method, " ", path, " ", r.Header.Get("If-Match"), " ", n, " ", err)
	}}})
	large := strings.Repeat("x", 1<<20)
	status, body := ask(t, "PUT", url+"/document?path=a%2Fusers%2Fsip%3Ab%2540c%2F%252Fd", large, func(r *http.Request) { r.Header.Set("If-Match", `"e"`) })
	if status != 200 || body != `PUT a/users/sip:b%40c/%2Fd "e" 1048576 <nil>` {
		t.Errorf("%d %s", status, body)
	}
	if status, _ := ask(t, "GET", url+"/document", ""); status != 400 {
		t.Errorf("without a path: %d", status)
	}
	none := serve(t, Config{})
	for _, path := range []string{"/documents", "/document?path=a"} {
		if status, _ := ask(t, "GET", none+path, ""); status != 404 {
			t.Errorf("%s: %d", path, status)
		}
	}
}
