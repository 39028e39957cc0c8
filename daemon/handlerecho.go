package daemon

import (
	"fmt"
	"slices"
	"strings"

	"netserver"
	"netserver/conf"
	"netserver/handler/echo"
)

// echoHandler makes an echo.
func (p *program) echoHandler(s *service) netserver.Handler {
	return &echo.Handler{
		Raw:          s.Echo == "raw",
		Name:         "netserver",
		AllowControl: s.EchoControl,
		Exit:         func() { p.exit() }, // which a worker sets later
		Properties:   func() map[string]string { return properties(p.res) },
	}
}

// clientsMayExit reports whether a client can end the server, as that of an echo
// of lines can.
func (c *Config) clientsMayExit() bool {
	return slices.ContainsFunc(c.services.used(), (*service).echoesLines)
}

// properties is what the echo's get and dump show: the configuration, as
// --check prints it.
func properties(res *conf.Result) map[string]string {
	m := make(map[string]string)
	for key, v := range res.Options() {
		switch v := v.(type) {
		case string:
			m[key] = v
		case []string:
			m[key] = strings.Join(v, ", ")
		default:
			m[key] = fmt.Sprint(v)
		}
	}
	return m
}
