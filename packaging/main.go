// Command packaging writes what packages of netserver bring along and what
// follows from the list of keys: the manual page and the completions of
// shells; and alert rules for Prometheus and a dashboard for Grafana. Run it from the top of the source tree, as go run ./packaging, after
// a key was added; a test compares its output with the files that are here.
//
// As go run ./packaging release it builds the packages and archives themselves;
// see release/doc.go.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	err := errors.New("usage: go run ./packaging [release [FLAG]...]")
	switch {
	case len(os.Args) == 1:
		err = write("packaging")
	case os.Args[1] == "release":
		var status int
		if status, err = release(os.Args[2:]); err == nil {
			os.Exit(status)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "packaging:", err)
		os.Exit(1)
	}
}

// files returns the content of every generated file by its name, which is
// slash-separated and below this folder.
func files() (map[string][]byte, error) {
	m, err := manual()
	if err != nil {
		return nil, err
	}
	board, err := dashboard()
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		"netserver.8":                m,
		"netserver@.service":         instance(),
		"completions/netserver.bash": bash(),
		"completions/_netserver":     zsh(),
		"completions/netserver.fish": fish(),

		"prometheus/netserver.rules.yml": rules(),
		"grafana/netserver.json":         board,
	}, nil
}

func write(dir string) error {
	all, err := files()
	if err != nil {
		return err
	}
	for name, text := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}
