package events_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"netserver/netservertest"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("EVENTS_TEST_CLIENTS"); addr != "" {
		if n := os.Getenv("EVENTS_TEST_PAIRS"); n != "" {
			pairs(addr, n)
			return
		}
		clients(addr)
		return
	}
	os.Exit(netservertest.Main(m))
}

// clients is another process with many clients, who say a byte and wait.
func clients(addr string) {
	n, _ := strconv.Atoi(os.Getenv("EVENTS_TEST_COUNT"))
	var list []*tls.Conn
	for range n {
		c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		c.Write([]byte("x"))
		c.Read(make([]byte, 1))
		list = append(list, c)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	for _, c := range list {
		c.Close()
	}
}
