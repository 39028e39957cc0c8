package conf

import (
	"fmt"
	"regexp"
	"strings"
)

// Kubernetes gives every container of a namespace variables of each service in
// it, and Docker's links do the same: a service called netserver, or netserver-
// and something, makes variables with the prefix of ours that nobody wrote.

// serviceLink is what the names after our prefix and the values of such
// variables look like, in the form NAME=VALUE.
const serviceLink = `^([A-Z0-9_]+_)?(` +
	`SERVICE_HOST=` + linkHost +
	`|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+` +
	`|PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://` + linkHost + `:[0-9]+` +
	`|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=[0-9]+|ADDR=` + linkHost + `))$`

const linkHost = `[0-9A-Za-z._:%\[\]-]+`

// serviceLinks returns a function that reports whether a variable was made of
// a service, so that its value cannot be meant for us: no port is a URL. The
// pattern is compiled when it is first asked for.
func serviceLinks() func(key, value string) bool {
	var pattern *regexp.Regexp
	return func(key, value string) bool {
		if pattern == nil {
			pattern = regexp.MustCompile(serviceLink)
		}
		return pattern.MatchString(key + "=" + value)
	}
}

// linksWarning names the variables that were skipped, in one line.
func linksWarning(names []string) error {
	const most = 8
	list := strings.Join(names[:min(len(names), most)], ", ")
	if n := len(names) - most; n > 0 {
		list += fmt.Sprintf(" and %d more", n)
	}
	return &Problem{
		Err:  fmt.Errorf("environment: %s ignored: they look like links that Kubernetes or Docker made of a service", list),
		Hint: "enableServiceLinks: false in the pod leaves them out",
	}
}
