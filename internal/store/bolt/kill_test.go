package bolt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"imp/internal/store"
)

// childFile names the store that a child process of the tests writes to.
const childFile = "IMP_BOLT_TEST_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childFile); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

const (
	writers    = 16
	writerKeys = 25
)

// step is what the nth write of a writer does: which key, and what it holds
// then, "" for nothing. The first write of each round is the base.
func step(writer, n int) (key, val string) {
	key = store.Key("w", strconv.Itoa(writer), strconv.Itoa(n*7%writerKeys))
	if n%6 == 5 {
		return key, ""
	}
	return key, fmt.Sprintf("%d.%d.%s", writer, n, strings.Repeat("x", n%900))
}

// writeForEver writes with many writers from the step that IMP_BOLT_TEST_BASE
// tells, and acknowledges each on stdout, until somebody kills it or stdout
// ends.
func writeForEver(path string) {
	time.AfterFunc(time.Minute, func() { os.Exit(3) }) // whoever should kill it is gone
	base, _ := strconv.Atoi(os.Getenv("IMP_BOLT_TEST_BASE"))
	s, err := Open(path, Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for n := base; ; n++ {
				key, val := step(w, n)
				if val == "" {
					err = s.Delete(context.Background(), key, store.AnyRev)
				} else {
					_, err = s.Put(context.Background(), key, []byte(val), store.AnyRev, time.Duration(n%3)*time.Hour)
				}
				if err != nil && !errors.Is(err, store.ErrNotFound) {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				if _, err := fmt.Fprintf(os.Stdout, "%d %d\n", w, n); err != nil {
					os.Exit(2)
				}
			}
		})
	}
	group.Wait()
}

// TestKill kills a process that writes, again and again, and finds every write
// that was acknowledged.
func TestKill(t *testing.T) {
	rounds := 4
	if os.Getenv("IMP_LONG") != "" {
		rounds = 100
	}
	path := filepath.Join(t.TempDir(), "store.db")
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	base, total := 0, 0
	held := map[string]string{} // what is there for certain
	for round := range rounds {
		acked := killed(t, path, base, 1+rnd.IntN(3000))
		if acked.count == 0 {
			t.Fatalf("round %d acknowledged nothing", round)
		}
		total += acked.count
		got := contents(t, path)
		next := base
		for w, last := range acked.last {
			for n := base; n <= last; n++ {
				key, val := step(w, n)
				held[key] = val
			}
			// One more write may be there or not.
			if key, val := step(w, last+1); got[key] == val {
				held[key] = val
			}
			next = max(next, last+2)
		}
		for key, val := range held {
			if got[key] != val {
				t.Fatalf("round %d: %s holds %.30q, acknowledged was %.30q", round, key, got[key], val)
			}
			delete(got, key)
		}
		for key := range got {
			t.Fatalf("round %d: nobody wrote %s", round, key)
		}
		base = next
	}
	t.Logf("%d rounds, %d acknowledged writes, none lost", rounds, total)
}

type acks struct {
	last  [writers]int // step of each writer
	count int
}

// killed runs a child that writes from step base, kills it once it has
// acknowledged enough writes, and returns all that it acknowledged.
func killed(t *testing.T, path string, base, enough int) acks {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childFile+"="+path, "IMP_BOLT_TEST_BASE="+strconv.Itoa(base))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var a acks
	for w := range a.last {
		a.last[w] = base - 1
	}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var w, n int
		if k, _ := fmt.Sscanf(lines.Text(), "%d %d", &w, &n); k != 2 {
			break // cut off by the kill
		}
		if n != a.last[w]+1 {
			t.Fatalf("writer %d acknowledged %d after %d", w, n, a.last[w])
		}
		a.last[w] = n
		if a.count++; a.count == enough {
			cmd.Process.Kill()
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return a
}

func contents(t *testing.T, path string) map[string]string {
	t.Helper()
	s, err := Open(path, Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore(t, s)
	got := map[string]string{}
	for e, err := range s.Scan(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Key] = string(e.Value)
	}
	return got
}
