package systemd

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// A Manager is the service manager that started the process, systemd or one
// that speaks its protocol. A nil Manager is none, and its methods do nothing.
type Manager struct {
	socket   string
	watchdog time.Duration
}

// ManagerOf finds the manager in an environment, as os.Environ returns it.
func ManagerOf(environ []string) *Manager {
	vars := make(map[string]string)
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		vars[name] = value
	}
	m := &Manager{socket: vars["NOTIFY_SOCKET"]}
	if m.socket == "" || m.socket[0] != '/' && m.socket[0] != '@' {
		return nil
	}
	usec, err := strconv.ParseInt(vars["WATCHDOG_USEC"], 10, 64)
	pid := vars["WATCHDOG_PID"]
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(usec) * time.Microsecond
	}
	return m
}

// Notify tells the manager something, such as "READY=1".
func (m *Manager) Notify(lines ...string) error {
	if m == nil {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	defer c.Close()
	c.SetWriteDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte(strings.Join(lines, "\n"))); err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	return nil
}

// Watchdog returns how often "WATCHDOG=1" must be told at least; 0 is never.
func (m *Manager) Watchdog() time.Duration {
	if m == nil {
		return 0
	}
	return m.watchdog
}

// managerVars are the variables that are for the process itself alone.
var managerVars = [...]string{"NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES="}

// WithoutManager returns environ without what is for this process alone.
func WithoutManager(environ []string) []string {
	var kept []string
next:
	for _, v := range environ {
		for _, name := range managerVars {
			if strings.HasPrefix(v, name) {
				continue next
			}
		}
		kept = append(kept, v)
	}
	return kept
}

// StoppingLines are what a manager is told at the end: the time that the end may
// take is asked for, should it give less by itself.
func StoppingLines(d time.Duration) []string {
	return []string{"STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", d.Microseconds())}
}
