// Package help is what the command says to those who do not know it yet: the
// one screen of --help, what --help WORD finds, and what it answers to names
// that keys have in other programs.
//
// It may import conf alone. Start reading at Run.
package help
