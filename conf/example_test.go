package conf_test

import (
	"fmt"
	"time"

	"netserver/conf"
)

// A part of a program: its variables, and the keys that set them.
type limits struct {
	MaxConns int
	Idle     time.Duration
}

func (l *limits) Define(s *conf.Set) {
	s.Define(conf.Key{
		Name: "max_connections", Group: "Limits", Arg: "N", Default: "256", PerPort: true,
		Help: "clients at once",
	}, conf.Int(&l.MaxConns, -1, 1_000_000))
	s.Define(conf.Key{
		Name: "idle_timeout", Group: "Limits", Arg: "SECONDS", PerPort: true,
		Help: "how long a client may be silent",
	}, conf.Seconds(&l.Idle, -1, 0))
}

func Example() {
	var all limits
	var set conf.Set
	all.Define(&set)
	args := set.ReadArgs([]string{"--max_connections", "1000", "--", "cat"}, "Fork", "Single")
	env := set.ReadEnv([]string{"NETSERVER_IDLE_TIMEOUT=1m30s"})
	file := set.ReadTOML("server.toml", []byte("idle_timeout = 5\n[[listen]]\nport = '443/ssl'\nidle_timeout = 2.5\n"))
	result, err := set.Resolve(args.Layer, env, file)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(all.MaxConns, all.Idle, result.Origins()["idle_timeout"], args.Program)

	// What a block sets for its own port goes into a copy.
	for _, block := range result.Blocks {
		one := all
		var perPort conf.Set
		perPort.Define(conf.Key{Name: "port", List: true}, conf.Strings(new([]string)))
		one.Define(&perPort)
		if err := perPort.Apply(block.Values); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(block.Values.Get("port"), one.MaxConns, one.Idle)
	}
	// Output:
	// 1000 1m30s environment [cat]
	// 443/ssl 1000 2.5s
}

func ExampleProblems() {
	var l limits
	var set conf.Set
	l.Define(&set)
	_, err := set.Resolve(
		set.ReadArgs([]string{"--max_connections=lots"}).Layer,
		set.ReadLines("server.conf", []byte("# limits\nidle_timout 30\nidle_timeout\n")),
	)
	fmt.Println(err)
	// Output:
	// max_connections: "lots" is not a whole number (argument 1)
	// unknown key "idle_timout" (server.conf:2); did you mean idle_timeout?
	// idle_timeout: the line has no value (server.conf:3); write "idle_timeout SECONDS"
}
