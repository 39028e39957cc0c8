package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"netserver/bench/peers"
)

// A server is the netserver that is measured.
type server struct {
	dir     string
	program string // that runs
	source  string // that it is a copy of
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has
	manager *net.UnixConn // what it tells a service manager
	ready   time.Duration // from its start until it served

	ssl, tcp, udp netip.AddrPort
}

// start starts a server in dir and waits until it serves.
func start(ctx context.Context, dir, binary string) (*server, error) {
	s := &server{dir: dir, program: filepath.Join(dir, "netserver"), source: binary, ended: make(chan struct{})}
	var place peers.Place
	if err := errors.Join(place.WriteCertificate(dir), s.replace()); err != nil {
		return nil, err
	}
	var err error
	name := filepath.Join(dir, "manager")
	if s.manager, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}); err != nil {
		return nil, err
	}
	log := filepath.Join(dir, "log")
	s.cmd = exec.Command(s.program, "--host", "127.0.0.1", "--port", "0/ssl", "--port", "0/tcp", "--port", "0/udp",
		"--echo", "raw", "--SSL_cert_file", place.CertFile, "--SSL_key_file", place.KeyFile, "--log_file", log, "--grace", "120")
	s.cmd.Env = append(environment(), "NOTIFY_SOCKET="+name)
	s.cmd.Stderr = os.Stderr
	s.cmd.SysProcAttr = endWithUs()
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(err, s.manager.Close())
	}
	go s.wait()
	if err := s.await(ctx, "READY=1"); err != nil {
		s.stop()
		return nil, fmt.Errorf("the server does not serve: %w\n%s", err, s.log())
	}
	s.ready = time.Since(began)
	return s, s.addresses()
}

// environment is this process's without keys for netserver.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NETSERVER_") {
			env = append(env, v)
		}
	}
	return env
}

func (s *server) wait() {
	s.cmd.Wait()
	close(s.ended)
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// addresses reads from the log what the ports became.
func (s *server) addresses() error {
	found := regexp.MustCompile(`Bound to auto-assigned port (\d+)`).FindAllStringSubmatch(s.log(), -1)
	if len(found) < 3 {
		return fmt.Errorf("the log names %d ports", len(found))
	}
	for i, a := range []*netip.AddrPort{&s.ssl, &s.tcp, &s.udp} {
		n, err := strconv.ParseUint(found[i][1], 10, 16)
		if err != nil {
			return err
		}
		*a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n))
	}
	return nil
}

func (s *server) log() string {
	b, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(b)
}

// await waits until the server tells its manager something that begins so.
func (s *server) await(ctx context.Context, want string) error {
	const patience = 60 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.manager.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go s.endsWait(cancel, ended)
	b := make([]byte, 4096)
	for {
		n, err := s.manager.Read(b)
		if err != nil {
			return fmt.Errorf("it does not tell %q: %w", want, context.Cause(ctx))
		}
		text := string(b[:n])
		if strings.Contains(text, "rejected") || strings.Contains(text, "failed") {
			return fmt.Errorf("it tells %q", text)
		}
		if strings.HasPrefix(text, want) {
			return nil
		}
	}
}

// endsWait ends a wait when the server ends.
func (s *server) endsWait(cancel context.CancelFunc, done <-chan struct{}) {
	select {
	case <-s.ended:
		cancel()
	case <-done:
	}
}

// replace puts a new file in the place of the program's.
func (s *server) replace() error {
	in, err := os.Open(s.source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(s.program+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close(), os.Rename(s.program+".new", s.program))
}

// restart restarts the server and returns how long that took: from the signal
// until the new processes serve.
func (s *server) restart(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return 0, err
	}
	err := s.await(ctx, "READY=1")
	return time.Since(began), err
}

// stop ends the server.
func (s *server) stop() error {
	defer s.manager.Close()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
		return errors.New("the server did not end by TERM")
	}
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server ended with status %d", code)
	}
	return nil
}
