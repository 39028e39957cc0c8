package serving

import (
	"fmt"
	"strings"

	"netserver/conf"
	"netserver/handler/echo"
)

// echoHandler makes an echo.
func (m *maker) echoHandler(s *Service) *echo.Handler {
	return &echo.Handler{
		Raw:          s.Echo == "raw",
		Name:         "netserver",
		AllowControl: s.EchoControl,
		Exit:         m.env.Exit,
		Properties:   func() map[string]string { return properties(m.s.in.Result) },
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
