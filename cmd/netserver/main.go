// Command netserver listens on any number of TLS, TCP, UDP and UNIX ports and
// gives every client to a program, a backend or its own echo. See netserver
// --help.
//
// It holds no logic and imports package daemon, prommetrics for /metrics, top for
// netserver ctl top, and the stores of a cluster; start reading at daemon.Command.
package main

import (
	"maps"
	"os"

	"netserver/cluster/natsstore"
	"netserver/cluster/redisstore"
	"netserver/daemon"
	"netserver/daemon/prommetrics"
	"netserver/daemon/top"
)

func main() {
	stores := redisstore.Schemes()
	maps.Copy(stores, natsstore.Schemes())
	os.Exit(daemon.Command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr,
		daemon.WithMetrics(prommetrics.Handler), daemon.WithTop(top.Run), daemon.WithStores(stores)))
}
