package daemon_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"netserver"
	"netserver/conf"
	"netserver/daemon"
)

// A program with the command's keys, signals and restarts, a key of its own,
// and hooks. It answers --help, --check and --version as the command does.
func ExampleRun() {
	var greeting string
	s := &netserver.Server{
		Handler: netserver.HandlerFunc(func(_ context.Context, c *netserver.Conn) error {
			_, err := fmt.Fprintln(c, greeting)
			return err
		}),
	}
	h := daemon.Hooks{
		Keys: func(s *conf.Set) {
			s.Define(conf.Key{Name: "greeting", Group: "Greeter", Arg: "TEXT", Default: "hello", Help: "what clients are told"}, conf.String(&greeting))
		},
		WorkerStart: func(context.Context) error {
			log.Print("this process serves clients now")
			return nil
		},
		WorkerStop: func() { log.Print("the last client has gone") },
	}
	if err := daemon.Run(context.Background(), s, daemon.Config{}, h, daemon.Layers(os.Args[1:], os.Environ())...); err != nil {
		log.Fatal(err)
	}
}
