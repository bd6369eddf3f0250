package admin

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics serves the figures of this server from a registry of its own.
func (s *Server) metrics() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), (*collector)(s))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// collector reads the sources at each look.
type collector Server

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("imp_"+name, help, labels, nil)
}

var (
	descInfo          = describe("build_info", "The version that runs; always 1.", "server", "version")
	descDraining      = describe("draining", "1 when the server drains.")
	descLiveHeap      = describe("live_heap_bytes", "Heap that the last garbage collection found in use.")
	descSubscriptions = describe("subscriptions", "Live subscriptions.")
	descPublications  = describe("publications", "Live publications.")
	descRegistrations = describe("registrations", "Live bindings of addresses of record to contacts.")
	descMessages      = describe("sip_messages_total", "SIP messages by transport and direction.", "transport", "direction")
	descTrouble       = describe("sip_trouble_total", "What did not go as it should in the SIP stack, by kind.", "kind")
	descConnections   = describe("sip_connections", "SIP connections over streams.")
	descPending       = describe("sip_pending", "SIP client transactions without an answer.")
	descReplay        = describe("sip_replay_bytes", "Memory for answers that are kept for retransmissions.")

	descRelayConnections = describe("msrp_relay_connections", "Connections of the MSRP relay.")
	descRelaySessions    = describe("msrp_relay_sessions", "URIs that the MSRP relay has granted and that live.")
	descRelaySends       = describe("msrp_relay_sends_total", "Chunks that the MSRP relay has forwarded.")
	descRelayBytes       = describe("msrp_relay_bytes_total", "Bytes of bodies that the MSRP relay has forwarded.")
	descRelayReports     = describe("msrp_relay_reports_total", "REPORTs that the MSRP relay has forwarded.")
	descRelayFailures    = describe("msrp_relay_failures_total", "Requests that the MSRP relay has refused, or that failed behind it.")
	descRelayRefused     = describe("msrp_relay_refused_connections_total", "Connections that the MSRP relay has refused.")
	descSessionBytes     = describe("msrp_session_bytes_total", "Bytes of bodies relayed for a session, out from its client or in to it.", "session", "user", "direction")
	descSessionSends     = describe("msrp_session_sends_total", "Chunks relayed for a session.", "session", "user")
	descSessionReports   = describe("msrp_session_reports_total", "REPORTs relayed for a session.", "session", "user")
	descSessionFailures  = describe("msrp_session_failures_total", "Requests of a session that failed.", "session", "user")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descInfo, descDraining, descLiveHeap, descSubscriptions, descPublications, descRegistrations,
		descMessages, descTrouble, descConnections, descPending, descReplay, descRelayConnections, descRelaySessions,
		descRelaySends, descRelayBytes, descRelayReports, descRelayFailures, descRelayRefused,
		descSessionBytes, descSessionSends, descSessionReports, descSessionFailures} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	total := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descInfo, 1, c.cfg.Server, c.cfg.Version)
	draining := 0.0
	if c.draining.Load() {
		draining = 1
	}
	gauge(descDraining, draining)
	gauge(descLiveHeap, float64(ReadMemory().LiveHeap))
	for _, g := range []struct {
		desc  *prometheus.Desc
		count func() int
	}{{descSubscriptions, c.cfg.SubscriptionCount}, {descPublications, c.cfg.PublicationCount}, {descRegistrations, c.cfg.RegistrationCount}} {
		if g.count != nil {
			gauge(g.desc, float64(g.count()))
		}
	}
	c.collectRelay(gauge, total)
	if c.cfg.Stack == nil {
		return
	}
	st := c.cfg.Stack()
	for transport, t := range st.Messages {
		total(descMessages, t.In, transport, "in")
		total(descMessages, t.Out, transport, "out")
	}
	for kind, n := range map[string]uint64{"malformed": st.Malformed, "dropped": st.Dropped, "unanswered": st.Unanswered, "replayed": st.Replayed,
		"merged": st.Merged, "late": st.Late, "stray": st.Stray, "refused": st.Refused, "retransmitted": st.Retransmits} {
		total(descTrouble, n, kind)
	}
	gauge(descConnections, float64(st.Connections))
	gauge(descPending, float64(st.Pending))
	gauge(descReplay, float64(st.ReplayBytes))
}

// maxSeries bounds the sessions that have figures of their own.
const maxSeries = 1000

// collectRelay reads an MSRP relay.
func (c *collector) collectRelay(gauge func(*prometheus.Desc, float64, ...string), total func(*prometheus.Desc, uint64, ...string)) {
	if c.cfg.Relay == nil {
		return
	}
	r := c.cfg.Relay()
	gauge(descRelayConnections, float64(r.Connections))
	gauge(descRelaySessions, float64(r.Sessions))
	total(descRelaySends, r.Sends)
	total(descRelayBytes, r.Bytes)
	total(descRelayReports, r.Reports)
	total(descRelayFailures, r.Failures)
	total(descRelayRefused, r.Refused)
	if c.cfg.Sessions == nil {
		return
	}
	rows, _, err := c.cfg.Sessions(context.Background(), Query{Limit: maxSeries})
	if err != nil {
		return
	}
	for _, s := range rows {
		total(descSessionBytes, s.BytesOut, s.ID, s.User, "out")
		total(descSessionBytes, s.BytesIn, s.ID, s.User, "in")
		total(descSessionSends, s.Sends, s.ID, s.User)
		total(descSessionReports, s.Reports, s.ID, s.User)
		total(descSessionFailures, s.Failures, s.ID, s.User)
	}
}
