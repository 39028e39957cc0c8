package conf

import (
	"fmt"
	"regexp"
	"strings"
)

// Kubernetes sets variables for each service of a namespace in all its
// containers, and Docker's links do the same: a service called netserver, or
// netserver- and something, creates variables with our prefix that nobody
// wrote.

// serviceLink matches such variables without our prefix, in the form
// NAME=VALUE.
const serviceLink = `^([A-Z0-9_]+_)?(` +
	`SERVICE_HOST=` + linkHost +
	`|SERVICE_PORT(_[A-Z0-9_]+)?=[0-9]+` +
	`|PORT(_[0-9]+_(TCP|UDP|SCTP))?=(tcp|udp|sctp)://` + linkHost + `:[0-9]+` +
	`|PORT_[0-9]+_(TCP|UDP|SCTP)_(PROTO=(tcp|udp|sctp)|PORT=[0-9]+|ADDR=` + linkHost + `))$`

const linkHost = `[0-9A-Za-z._:%\[\]-]+`

// serviceLinks returns a function that reports whether a variable comes from a
// service link, so that its value cannot be meant for us: no port is a URL.
// The pattern is compiled on first use.
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
		Err:  fmt.Errorf("environment: %s ignored: they look like service links of Kubernetes or Docker", list),
		Hint: "enableServiceLinks: false in the pod leaves them out",
	}
}
