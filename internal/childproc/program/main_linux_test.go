package program_test

import (
	"os"
	"testing"

	"netserver/netservertest"
)

// helperVar names the helper that the test binary is when a test runs it.
const helperVar = "PROGRAM_TEST_HELPER"

var helpers = map[string]func(){"killer": helperKiller, "starter": helperStarter}

func TestMain(m *testing.M) {
	if f := helpers[os.Getenv(helperVar)]; f != nil {
		f()
		return
	}
	os.Exit(netservertest.Main(m))
}
