//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// server is a server under load, one process or several.
type server struct {
	name   string
	addr   string // host:port of its listener, UDP for SIP and TCP for XCAP
	cmd    *exec.Cmd
	log    string // file with what it prints
	exited chan struct{}
	memory func(ctx context.Context) (live int64, err error) // bytes in use
}

// start runs a server on the first processor, which its children inherit. What it prints goes to a file.
func (s *server) start(dir, program string, args, env []string) error {
	s.log = filepath.Join(dir, "log")
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd = exec.Command(program, args...)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = dir, log, log, append(os.Environ(), env...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	s.exited = make(chan struct{})
	began := make(chan error)
	go func() {
		// The thread ends with this goroutine, because it stays locked: nothing else gets its processor. The death
		// signal would come with the end of the thread too, so it waits for the child.
		runtime.LockOSThread()
		var set unix.CPUSet
		set.Set(0)
		err := unix.SchedSetaffinity(0, &set)
		if err == nil {
			err = s.cmd.Start()
		}
		began <- err
		if err == nil {
			_ = s.cmd.Wait()
			close(s.exited)
		}
	}()
	return <-began
}

// stopTime is how long a server may take to leave before it is killed.
const stopTime = 4 * time.Second

// stop ends a server and waits for it.
func (s *server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.exited:
	case <-time.After(stopTime):
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // the group is of its processes alone
	<-s.exited
	for end := time.Now().Add(stopTime); len(s.processes()) > 0 && time.Now().Before(end); { // a killed one may take a moment
		time.Sleep(tick)
	}
}

// await returns when the server answers, or an error with what it has printed.
func (s *server) await(ctx context.Context, answers func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for !answers() {
		select {
		case <-s.exited:
			return s.failed("it ended")
		case <-ctx.Done():
			return s.failed("it does not answer")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// answersSIP reports whether the server answers a request over UDP.
func (s *server) answersSIP() bool {
	c, err := net.Dial("udp", s.addr)
	if err != nil {
		return false
	}
	defer c.Close()
	local := c.LocalAddr()
	fmt.Fprintf(c, "OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKprobe%d\r\nMax-Forwards: 70\r\nFrom: <sip:probe@%s>;tag=p\r\nTo: <sip:%s>\r\n"+
		"Call-ID: probe\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", s.addr, local, time.Now().UnixNano(), local, s.addr)
	_ = c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	n, err := c.Read(make([]byte, 2048))
	return err == nil && n > 0
}

// answersTCP reports whether the server takes connections.
func (s *server) answersTCP() bool {
	c, err := net.DialTimeout("tcp", s.addr, 100*time.Millisecond)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func (s *server) failed(what string) error {
	log, _ := os.ReadFile(s.log)
	return fmt.Errorf("starting %s: %s: %.2000s", s.name, what, log)
}

// cpu is the processor time that all processes of the server have had so far.
func (s *server) cpu() (sum time.Duration, err error) {
	for _, pid := range s.processes() {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue // it has ended since
		}
		p, err := parseStat(string(stat))
		if err != nil {
			return 0, err
		}
		sum += p.cpu
	}
	return sum, nil
}

// resident is the memory that all processes of the server have in RAM, what they share counted once.
func (s *server) resident() (bytes int64, err error) {
	for _, pid := range s.processes() {
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		pss, err := parsePss(string(rollup))
		if err != nil {
			return 0, err
		}
		bytes += pss
	}
	return bytes, nil
}

// processes are the server's process and those of its group, which all its children are in.
func (s *server) processes() (pids []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			if p, err := parseStat(string(b)); err == nil && p.group == s.cmd.Process.Pid && !p.dead {
				pids = append(pids, p.pid)
			}
		}
	}
	return pids
}

// stat is what is read of /proc/PID/stat.
type stat struct {
	pid, group int
	dead       bool // and only waits to be asked how it ended
	cpu        time.Duration
}

// tick is the unit of processor time there; Linux has it fixed towards programs.
const tick = 10 * time.Millisecond

// parseStat reads /proc/PID/stat. The name of the program stands in it as it is, parentheses and spaces included.
func parseStat(s string) (stat, error) {
	open, end := strings.IndexByte(s, '('), strings.LastIndexByte(s, ')')
	if open < 1 || end < open {
		return stat{}, errors.New("reading the process table: no program name")
	}
	fields := strings.Fields(s[end+1:])
	if len(fields) < 13 {
		return stat{}, errors.New("reading the process table: a field is missing")
	}
	var n [4]int64
	for i, text := range []string{strings.TrimSpace(s[:open]), fields[2], fields[11], fields[12]} {
		var err error
		if n[i], err = strconv.ParseInt(text, 10, 64); err != nil {
			return stat{}, fmt.Errorf("reading the process table: %w", err)
		}
	}
	return stat{pid: int(n[0]), group: int(n[1]), dead: fields[0] == "Z", cpu: time.Duration(n[2]+n[3]) * tick}, nil
}

// parsePss reads the proportional set size in /proc/PID/smaps_rollup.
func parsePss(s string) (int64, error) {
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("reading the memory of a process: no Pss")
}

// onProcessor moves all threads of this process to one processor, and gives a function that lets them go again.
func onProcessor(n int) (restore func(), err error) {
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	if !before.IsSet(0) || !before.IsSet(n) {
		return nil, fmt.Errorf("two processors are needed, 0 and %d: %w", n, errMissing)
	}
	set.Set(n)
	move := func(to *unix.CPUSet) error {
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, _ := strconv.Atoi(t.Name())
			if err := unix.SchedSetaffinity(tid, to); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("choosing a processor: %w", err)
			}
		}
		return nil
	}
	return func() { _ = move(&before) }, move(&set)
}

// freePort is a UDP port of the loopback address that nobody uses.
func freePort() (int, error) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

// freeTCP is an address of TCP on loopback that nobody uses.
func freeTCP() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
