package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// Failure is the body of an answer that refuses.
type Failure struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, text string) { reply(w, status, Failure{text}) }

func reply(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		status = http.StatusInternalServerError
		b.Reset()
		b.WriteString("{}\n")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// list answers with a page of rows.
func list[T row](source Lister[T]) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if source == nil {
			refuse(w, http.StatusNotFound, "this server has no such list")
			return
		}
		values := r.URL.Query()
		q := Query{Resource: values.Get("resource"), After: values.Get("after"), Limit: DefaultRows}
		if text := values.Get("limit"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > MaxRows {
				refuse(w, http.StatusBadRequest, fmt.Sprintf("limit is not a number from 1 to %d", MaxRows))
				return
			}
			q.Limit = n
		}
		rows, more, err := source(r.Context(), q)
		if err != nil {
			refuse(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		page := Page[T]{Rows: rows}
		if page.Rows == nil {
			page.Rows = []T{}
		}
		if more && len(rows) > 0 {
			page.Next = rows[len(rows)-1].cursor()
		}
		reply(w, http.StatusOK, page)
	}
}

// Health is what /healthz tells; the status of the answer is 503 when the server drains.
type Health struct {
	Status        string    `json:"status"` // "ok" or "draining"
	Server        string    `json:"server"`
	Version       string    `json:"version"`
	Started       time.Time `json:"started"`
	Listen        []string  `json:"listen"`
	Subscriptions int       `json:"subscriptions"`
	Publications  int       `json:"publications"`
	Registrations int       `json:"registrations"`
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	h := Health{Status: "ok", Server: s.cfg.Server, Version: s.cfg.Version, Started: s.cfg.Started, Listen: []string{},
		Subscriptions: count(s.cfg.SubscriptionCount), Publications: count(s.cfg.PublicationCount), Registrations: count(s.cfg.RegistrationCount)}
	if s.cfg.Listen != nil {
		h.Listen = append(h.Listen, s.cfg.Listen()...)
	}
	status := http.StatusOK
	if s.draining.Load() {
		h.Status, status = "draining", http.StatusServiceUnavailable
	}
	reply(w, status, h)
}

func count(f func() int) int {
	if f == nil {
		return 0
	}
	return f()
}

// LogLevel is the body of /log-level: "debug", "info", "warn" or "error".
type LogLevel struct {
	Level string `json:"level"`
}

func (s *Server) logLevel(w http.ResponseWriter, _ *http.Request) {
	if s.cfg.Level == nil {
		refuse(w, http.StatusNotFound, "this server has no log level")
		return
	}
	reply(w, http.StatusOK, LogLevel{levelName(s.cfg.Level.Level())})
}

func (s *Server) setLogLevel(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Level == nil {
		refuse(w, http.StatusNotFound, "this server has no log level")
		return
	}
	var asked LogLevel
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		refuse(w, http.StatusBadRequest, `the body is not of the form {"level":"info"}`)
		return
	}
	level, ok := levels[asked.Level]
	if !ok {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("level %.20q is not debug, info, warn or error", asked.Level))
		return
	}
	s.cfg.Level.Set(level)
	s.cfg.Log.Log(r.Context(), level, "log level changed", "level", asked.Level)
	reply(w, http.StatusOK, asked)
}

var levels = map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}

func levelName(l slog.Level) string {
	for name, level := range levels {
		if level == l {
			return name
		}
	}
	return l.String()
}

// Drained is the answer to a drain: the subscriptions there were, and those that had not ended in time.
type Drained struct {
	Subscriptions int `json:"subscriptions"`
	Left          int `json:"left"`
}

// A drain takes defaultDrain unless it says otherwise, and MaxDrain at most.
const (
	defaultDrain = 30 * time.Second
	MaxDrain     = writeTime - 10*time.Second
)

func (s *Server) drain(w http.ResponseWriter, r *http.Request) {
	if s.cfg.Drain == nil {
		refuse(w, http.StatusNotFound, "this server cannot be drained")
		return
	}
	limit := defaultDrain
	if text := r.URL.Query().Get("timeout"); text != "" {
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || !(n > 0) || n > MaxDrain.Seconds() {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("timeout is not a number of seconds up to %.0f", MaxDrain.Seconds()))
			return
		}
		limit = time.Duration(n * float64(time.Second))
	}
	s.draining.Store(true)
	before := count(s.cfg.SubscriptionCount)
	s.cfg.Log.Info("draining", "subscriptions", before)
	ctx, cancel := context.WithTimeout(r.Context(), limit)
	defer cancel()
	s.cfg.Drain(ctx) // what it could not do in time is told by the count
	reply(w, http.StatusOK, Drained{before, count(s.cfg.SubscriptionCount)})
}
