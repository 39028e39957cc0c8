package netservertest

import (
	"net"
	"runtime"
	"testing"
)

func TestFreePort(t *testing.T) {
	var port string
	t.Run("until the end of a test", func(t *testing.T) {
		port = FreePort(t)
		if runtime.GOOS == "linux" && reserve(port) != nil {
			t.Errorf("port %s is given to two", port)
		}
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if isFree(port) {
			t.Errorf("port %s is free although somebody listens", port)
		}
	})
	release := reserve(port)
	if release == nil {
		t.Fatalf("port %s is not given back", port)
	}
	release()
}
