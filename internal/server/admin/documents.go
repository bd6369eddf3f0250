package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"time"
)

// Document is an XCAP document (RFC 4825) as it is exported.
type Document struct {
	Path string `json:"path"` // below the XCAP root, percent-encoded
	ETag string `json:"etag"` // without quotes
	Body []byte `json:"body"`
}

// ExportLine is a line of an export: a document, and at the end how many there were. One without the other was cut off.
type ExportLine struct {
	*Document
	End   bool   `json:"end,omitempty"`
	Count int    `json:"count,omitempty"`
	Error string `json:"error,omitempty"` // instead of an end
}

// Documents are those of an XCAP server.
type Documents struct {
	// All yields all documents; an error ends them.
	All func(ctx context.Context) iter.Seq2[Document, error]
	// Serve answers a request for the document with a path below the XCAP root, conditions and conflicts as over XCAP.
	Serve func(w http.ResponseWriter, r *http.Request, path string)
}

// Bounds of exports and imports.
const (
	// MaxDocument bounds a document, in bytes.
	MaxDocument = 16 << 20
	// lineTime is the longest that whoever exports may leave a document unread.
	lineTime = 30 * time.Second
)

// export answers with all documents, one JSON object a line.
func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Documents == nil {
		refuse(w, http.StatusNotFound, "this server has no documents")
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Cache-Control", "no-store")
	connection := http.NewResponseController(w)
	buf := bufio.NewWriterSize(w, 64<<10)
	lines := json.NewEncoder(buf)
	last := ExportLine{End: true}
	for d, err := range s.cfg.Documents.All(r.Context()) {
		if err != nil {
			s.cfg.Log.Error("exporting documents", "error", err)
			last = ExportLine{Error: err.Error()}
			break
		}
		_ = connection.SetWriteDeadline(time.Now().Add(lineTime))
		if lines.Encode(ExportLine{Document: &d}) != nil {
			return
		}
		last.Count++
	}
	if lines.Encode(last) == nil {
		buf.Flush()
	}
}

// document answers a request for one document, that of the parameter path.
func (s *Server) document(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Query().Get("path")
	switch {
	case s.cfg.Documents == nil:
		refuse(w, http.StatusNotFound, "this server has no documents")
	case path == "":
		refuse(w, http.StatusBadRequest, "the parameter path is missing")
	default:
		s.cfg.Documents.Serve(w, r, path)
	}
}
