// Package conf defines configuration keys, the layers that set them, and
// readers for the command line, the environment and files. Every value knows
// where it came from.
//
// Each part of a program defines its keys on a [Set], bound to Go variables.
// Each reader turns one source into a [Layer]. [Set.Resolve] takes each key
// whole from the strongest layer that names it, stores the values, and reports
// all errors at once as [Problems]:
//
//	var s conf.Set
//	s.Define(conf.Key{Name: "max_servers", Arg: "N", Help: "clients at once"}, conf.Int(&n, 1, 1000))
//	args := s.ReadArgs(os.Args[1:])
//	layers := s.WithConfFile([]conf.Layer{args.Layer, s.ReadEnv(os.Environ())})
//	result, err := s.Resolve(layers...)
//
// A TOML file may hold tables of a program's own, any number of each, with keys
// that stand there alone ([Set.DefineTable]). They come as [Block] values, in
// Result.Tables, or in the Block that they are in, and each is read into
// variables of its own:
//
//	new(backend).define(s.DefineTable(conf.Table{Name: "backend"}))
//	...
//	for _, block := range result.Tables["backend"] {
//		var b backend
//		err := block.Read(b.define)
//
// Command lines and conf files mean what they mean to Perl's Net::Server;
// DIFFERENCES.md lists the differences and their reasons.
//
// The package imports nothing else of this module; go-toml parses TOML. Start
// reading at Set.Define (key.go) and Set.Resolve (resolve.go).
package conf
