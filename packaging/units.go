package main

import (
	_ "embed"
	"strings"
)

// service is the unit of one server.
//
//go:embed netserver.service
var service string

const instanceHead = `# One of several servers: systemctl start netserver@NAME reads
# /etc/netserver/NAME.conf. Written by go run ./packaging from
# netserver.service, where the comments are.
`

// instance returns the unit of one of several servers.
func instance() []byte {
	var b strings.Builder
	b.WriteString(instanceHead)
	for line := range strings.Lines(service) {
		if !strings.HasPrefix(line, "#") {
			b.WriteString(line)
		}
	}
	return []byte(strings.NewReplacer(
		"Description=netserver\n", "Description=netserver %i\n", "/etc/netserver/server.conf", "/etc/netserver/%i.conf",
		"Directory=netserver\n", "Directory=netserver/%i\n", "\n\n\n", "\n\n",
	).Replace(b.String()))
}
