package main

import (
	"bytes"
	_ "embed"
	"strings"

	"netserver/conf"
	"netserver/daemon"
)

// template is the manual page without its keys. A line @KEYS@ stands for them.
//
//go:embed netserver.8.tmpl
var template string

// manual returns the manual page.
func manual() ([]byte, error) {
	var keys bytes.Buffer
	if err := keySet().Man(&keys); err != nil {
		return nil, err
	}
	text := strings.Replace(template, "@KEYS@\n", keys.String(), 1)
	const comment = ".\\\" Written by go run ./packaging: change netserver.8.tmpl or the keys.\n"
	return []byte(comment + text), nil
}

// keySet is the command's list of keys.
func keySet() *conf.Set {
	s := new(conf.Set)
	c := new(daemon.Config)
	c.Define(s)
	c.DefineTables(s)
	return s
}
