package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"rlhf/labeling"
	"rlhf/storage"
)

// The server's process is told what to do by the environment: its database, address and length of leases.
const (
	serveEnv = "LABELERS_SERVE"
	addrEnv  = "LABELERS_ADDR"
	ttlEnv   = "LABELERS_TTL"
)

// hasty is a database whose leases are shorter than the server's settings allow.
type hasty struct {
	*storage.DB
	ttl time.Duration
}

func (h hasty) Next(ctx context.Context, ask storage.Ask) (storage.Given, error) {
	ask.TTL = h.ttl
	return h.DB.Next(ctx, ask)
}

func (h hasty) Heartbeat(ctx context.Context, labelerID int64, publicID string, _ time.Duration) (time.Time, error) {
	return h.DB.Heartbeat(ctx, labelerID, publicID, h.ttl)
}

// serve is the process of the server. It prints its address when it answers.
func serve() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	ttl, err := time.ParseDuration(os.Getenv(ttlEnv))
	if err != nil {
		return err
	}
	db, err := storage.Open(ctx, os.Getenv(serveEnv))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	l, err := net.Listen("tcp", os.Getenv(addrEnv))
	if err != nil {
		return err
	}
	c := labeling.DefaultConfig()
	c.RequestsPerSecond = 0 // these labelers do not sleep
	fmt.Println(l.Addr())
	return labeling.NewServer(c, hasty{db, ttl}, slog.New(slog.DiscardHandler)).Serve(ctx, l)
}

// process is the server as its own process, started again on the same address after it was killed.
type process struct {
	p    plan
	addr string

	mu      sync.Mutex
	command *exec.Cmd
}

func (s *process) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), serveEnv+"="+s.p.db, addrEnv+"="+s.addr, ttlEnv+"="+s.p.ttl.String())
	command.Stderr = os.Stderr
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return errors.Join(fmt.Errorf("the server did not start: %w", err), command.Wait())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.command == nil {
		s.addr = strings.TrimSpace(line) // and stays that; labelers read it
	}
	s.command = command
	return nil
}

// kill ends the process at once, as losing power would end it for the program.
func (s *process) kill() error {
	if err := s.command.Process.Kill(); err != nil {
		return err
	}
	s.command.Wait() // says that it was killed
	return nil
}

func (s *process) end() error {
	if err := s.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.command.Wait()
}

// memory returns the resident memory of the server in bytes.
func (s *process) memory() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.command.Process.Pid))
	if err != nil {
		return 0 // between two processes, or not on Linux
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}
