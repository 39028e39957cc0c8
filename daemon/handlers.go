package daemon

import (
	"errors"
	"fmt"
	"strings"

	"netserver"
	"netserver/conf"
	"netserver/handler/echo"
)

// handler makes the handler that the configuration asks for: a program, a
// proxy, or else an echo.
func (c *Config) handler(p *program, res *conf.Result) (netserver.Handler, error) {
	switch h := &c.Handler; {
	case len(c.Program) > 0 && h.ProxyTo != "":
		return nil, errors.New("proxy_to and a program after -- are both given: a client can be served by one of them")
	case len(c.Program) > 0:
		return nil, errors.New("programs are not built yet")
	case h.ProxyTo != "":
		return nil, errors.New("proxy_to is not built yet")
	default:
		return &echo.Handler{
			Raw:          h.Echo == "raw",
			Name:         "netserver",
			AllowControl: h.EchoControl,
			Exit:         p.exit,
			Properties:   func() map[string]string { return properties(res) },
		}, nil
	}
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
