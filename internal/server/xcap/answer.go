package xcap

import (
	"net/http"
	"strconv"

	"imp/internal/doc/xcaperror"
)

// answer is what a request gets.
type answer struct {
	status     int
	etag       string // without quotes
	mediaType  string
	body       []byte
	allow      string
	challenges []string
	proof      string // Authentication-Info
	retry      int    // seconds, 0: not said
	fields     [][2]string
}

const textType = "text/plain; charset=utf-8"

// refuse is an answer with a line for people.
func refuse(status int, why string) answer {
	return answer{status: status, mediaType: textType, body: []byte(why + "\n")}
}

// conflict is the answer to a request that cannot be fulfilled because of what the document is or would be.
func conflict(r *xcaperror.Report) answer {
	return answer{status: http.StatusConflict, mediaType: xcaperror.MediaType, body: r.Bytes()}
}

func missing(what string) answer { return refuse(http.StatusNotFound, what) }

func notAllowed(allow, why string) answer {
	a := refuse(http.StatusMethodNotAllowed, why)
	a.allow = allow
	return a
}

var noCache = []string{"no-cache"}

// write sends the answer.
func (s *Server) write(w http.ResponseWriter, r *http.Request, a *answer) {
	h := w.Header()
	if s.cfg.Product != "" {
		h["Server"] = []string{s.cfg.Product}
	}
	if len(r.TransferEncoding) > 0 {
		// There may have been a Content-Length too, of which net/http does not tell; then nothing that follows on the connection
		// can be believed to be a request of the same client (RFC 9112 section 6.1).
		h["Connection"] = []string{"close"}
	}
	if a.etag != "" {
		h["Etag"] = []string{`"` + a.etag + `"`}
	}
	if read(r.Method) && a.status < http.StatusBadRequest {
		h["Cache-Control"] = noCache
	}
	if a.mediaType != "" {
		h["Content-Type"] = []string{a.mediaType}
	}
	if a.allow != "" {
		h["Allow"] = []string{a.allow}
	}
	if len(a.challenges) > 0 {
		h["Www-Authenticate"] = a.challenges
	}
	if a.proof != "" {
		h["Authentication-Info"] = []string{a.proof}
	}
	if a.retry > 0 {
		h["Retry-After"] = []string{strconv.Itoa(a.retry)}
	}
	for _, f := range a.fields {
		h[f[0]] = []string{f[1]}
	}
	if a.status != http.StatusNotModified && a.status != http.StatusNoContent {
		h["Content-Length"] = []string{strconv.Itoa(len(a.body))}
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead && len(a.body) > 0 {
		w.Write(a.body)
	}
}

func read(method string) bool { return method == http.MethodGet || method == http.MethodHead }
