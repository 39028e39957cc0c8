// Command release builds what is published of netserver: static programs for
// each system in archives, packages for Debian and for RPM, a bill of materials
// for each, and the checksums of all. It is run from the top of the source tree,
// as go run ./packaging release.
//
// It is a module of its own, so that the library's users do not have the
// modules of the packages' format among theirs; it imports nothing of
// netserver. Start reading at main.go: source.go says what is built, build.go
// builds, archive.go and packages.go write, contents.go lists what a package
// has, sbom.go and notices.go say what is in a program.
//
// The same source gives the same bytes: all times are that of the commit, or
// SOURCE_DATE_EPOCH, and nothing is taken from the machine but the Go toolchain.
package main
