// Package conf holds configuration keys, the layers that give them values,
// and the readers for the command line, the environment and files. Every
// value knows where it came from.
//
// Each part of a program names its keys on a [Set], bound to Go variables.
// Readers turn one source each into a [Layer]. [Set.Resolve] lets the
// strongest layer that names a key set all of it, stores the values, and
// reports every fault at once as [Problems]:
//
//	var s conf.Set
//	s.Define(conf.Key{Name: "max_servers", Arg: "N", Help: "clients at once"}, conf.Int(&n, 1, 1000))
//	args := s.ReadArgs(os.Args[1:])
//	layers := s.WithConfFile([]conf.Layer{args.Layer, s.ReadEnv(os.Environ())})
//	result, err := s.Resolve(layers...)
//
// What a command line or a conf file means is what Perl's Net::Server makes
// of it; DIFFERENCES.md lists where this package differs, and why.
package conf
