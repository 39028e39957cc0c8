package events_test

import (
	"os"
	"testing"

	"netserver/netservertest"
)

func TestMain(m *testing.M) { os.Exit(netservertest.Main(m)) }
