//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"imp/internal/cli"
)

// asImp makes the test's binary be imp.
const asImp = "COMPARE_TEST_AS_IMP"

func TestMain(m *testing.M) {
	if os.Getenv(asImp) != "" {
		os.Exit(cli.Main())
	}
	os.Exit(m.Run())
}

// small makes a run of few operations with real servers.
func small(t *testing.T, measure func(context.Context, *bench) (report, error)) report {
	t.Helper()
	k, err := findKamailio(look)
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	restore, err := onProcessor(1)
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer restore()
	t.Setenv(asImp, "1")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	b := &bench{kamailio: k, imp: self, dir: t.TempDir(), scale: 0.02, pace: 0.2, rest: time.Millisecond, tell: func(what string) { t.Log(what) }}
	r, err := measure(ctx, b)
	if errors.Is(err, errMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestCompares(t *testing.T) {
	r := small(t, measure)
	for _, row := range r.Rows {
		// So few operations may cost no tick of the clock, but they take memory and time.
		if measured := row.Kamailio > 0 && row.Imp > 0; row.Name == "last of 100 watchers, p50" && !measured || row.Name == "live memory of 10k publications" && !measured {
			t.Errorf("nothing measured: %+v", row)
		}
	}
	if len(r.Rows) != 9 {
		t.Errorf("%d rows", len(r.Rows))
	}
}

func TestComparesXCAP(t *testing.T) {
	if r := small(t, measureXCAP); len(r.Rows) != len(xcapRows)+1 {
		t.Errorf("%d rows", len(r.Rows))
	}
}

func TestComparesMSRP(t *testing.T) {
	if r := small(t, measureMSRP); len(r.Rows) != len(msrpRows)+6 {
		t.Errorf("%d rows", len(r.Rows))
	}
}

func TestStopsWhatItStarts(t *testing.T) {
	s := &server{name: "sleep"}
	if err := s.start(t.TempDir(), "sh", []string{"-c", "trap '' TERM; sleep 60 & sleep 60"}, nil); err != nil {
		t.Fatal(err)
	}
	if n := len(s.processes()); n == 0 {
		t.Error("no process of it is found")
	}
	s.stop()
	if p := s.processes(); len(p) != 0 {
		t.Errorf("still there: %v", p)
	}
}

func TestReadsProcesses(t *testing.T) {
	got, err := parseStat("42 (a (b) c) Z 1 41 41 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 1 0 99 1 1 1\n")
	if want := (stat{pid: 42, group: 41, dead: true, cpu: 1750 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for _, broken := range []string{"", "42", "42 (a) S 1 41", "x (a) S 1 41 41 0 -1 4194560 1 2 3 4 150 25 7"} {
		if _, err := parseStat(broken); err == nil {
			t.Errorf("%q is read", broken)
		}
	}
	pss, err := parsePss("00400000-7ffd00000000 ---p 00000000 00:00 0    [rollup]\nRss:    900 kB\nPss:                 123 kB\nPss_Dirty: 4 kB\n")
	if err != nil || pss != 123<<10 {
		t.Errorf("%d, %v", pss, err)
	}
	if _, err := parsePss("Rss: 1 kB\n"); err == nil {
		t.Error("memory is read where none is told")
	}
	live, err := parseShmmem("{\n\ttotal: 536870912\n\tfree: 534161368\n\tused: 2633800\n\treal_used: 2709544\n}\n")
	if err != nil || live != 2709544 {
		t.Errorf("%d, %v", live, err)
	}
	if _, err := parseShmmem("error: 500"); err == nil {
		t.Error("memory is read where none is told")
	}
}

func TestMedians(t *testing.T) {
	var reports []report
	for _, p := range []pair{{1, 3}, {2, 1}, {4, 6}} {
		var r report
		r.add("PUBLISH", "s", p)
		reports = append(reports, r)
	}
	var none report
	none.add("PUBLISH", "s", pair{0, 1})
	if _, err := json.Marshal(none); err != nil {
		t.Error(err)
	}
	for n, want := range map[int]row{
		1: {"PUBLISH", "s", 1, 3, 3},
		2: {"PUBLISH", "s", 1.5, 2, 1.75},
		3: {"PUBLISH", "s", 2, 3, 1.5},
	} {
		if got := medians(reports[:n]); len(got) != 1 || got[0] != want {
			t.Errorf("of %d: %+v, not %+v", n, got, want)
		}
	}
	var b bytes.Buffer
	if err := writeTable(&b, reports); err != nil {
		t.Fatal(err)
	}
	want := "| medians of 3 runs | unit | Kamailio | imp | imp / Kamailio |\n|---|---|---:|---:|---:|\n| PUBLISH | s | 2.00 | 3.00 | 1.50 |\n"
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
}

func TestUsage(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, args := range [][]string{nil, {"absence"}, {"presence", "more"}, {"xcap", "presence"}, {"-runs", "0", "presence"}, {"presence", "-scale", "0"}, {"-x"}} {
		var out, complaint bytes.Buffer
		if status := run(t.Context(), args, &out, &complaint); status != 2 || complaint.Len() == 0 || out.Len() > 0 {
			t.Errorf("%q: %d, %s", args, status, complaint.String())
		}
	}
}

func TestSaysWhatIsMissing(t *testing.T) {
	_, err := findKamailio(func(string) (string, error) { return "", exec.ErrNotFound })
	if !errors.Is(err, errMissing) || !strings.Contains(err.Error(), "apt-get install kamailio") {
		t.Error(err)
	}
}
