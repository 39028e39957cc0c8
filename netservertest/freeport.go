package netservertest

import (
	"math/rand/v2"
	"net"
	"runtime"
	"strconv"
	"testing"
)

// FreePort returns a port of 127.0.0.1 that nobody uses, neither over TCP nor
// over UDP, for a program that cannot choose one itself. It is none of those
// that systems give to port 0 and to clients, so that nobody gets it by chance
// before the program does. On Linux no other call returns it until the test
// ends, in this process or in another.
func FreePort(t testing.TB) string {
	t.Helper()
	const first, count = 21000, 11000 // Linux begins to give ports away at 32768
	begin := rand.IntN(count)
	for i := range count {
		port := strconv.Itoa(first + (begin+i)%count)
		if release := reserve(port); release != nil {
			t.Cleanup(release)
			return port
		}
	}
	t.Fatal("netservertest: no port is free")
	return ""
}

// reserve returns what gives the port back, or nil if somebody has it.
func reserve(port string) (release func()) {
	release = func() {}
	if runtime.GOOS == "linux" { // a name that is free again when this process ends, however it does
		l, err := net.Listen("unix", "@netservertest/port/"+port)
		if err != nil {
			return nil
		}
		release = func() { l.Close() }
	}
	if !isFree(port) {
		release()
		return nil
	}
	return release
}

func isFree(port string) bool {
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}
	l.Close()
	c, err := net.ListenPacket("udp", "127.0.0.1:"+port)
	if err != nil {
		return false
	}
	c.Close()
	return true
}
