package netserver_test

import (
	"flag"
	"os"
	"testing"

	"netserver/netservertest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	flag.Set("test.parallel", "8") // those that are parallel wait, and do not work
	os.Exit(netservertest.Main(m))
}
