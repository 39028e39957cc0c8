package daemon

import (
	"errors"
	"fmt"
	"strings"

	"netserver"
	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/handler/echo"
	"netserver/handler/exec"
	"netserver/handler/proxy"
)

// maxPrograms is how many programs may run at once where max_servers is not
// given: Net::Server's own default for its children.
const maxPrograms = 256

// handler makes the handler that the configuration asks for: a program, a
// proxy, or else an echo.
func (c *Config) handler(p *program, res *conf.Result) (netserver.Handler, error) {
	switch h := &c.Handler; {
	case len(c.Program) > 0 && h.ProxyTo != "":
		return nil, errors.New("proxy_to and a program after -- are both given: a client can be served by one of them")
	case len(c.Program) > 0:
		if c.Server.Limits.MaxServing == 0 {
			c.Server.Limits.MaxServing = maxPrograms
		}
		e := &exec.Handler{
			Path: c.Program[0], Args: c.Program[1:],
			Stderr: exec.Stderr(h.ExecStderr), KillGrace: h.ExecKillAfter,
			Pipes: h.ExecPipes, Env: h.ExecEnv,
		}
		if c.identity.Chroot != "" {
			return e, nil // it is looked for below the root directory later
		}
		return e, e.Check()
	case h.ProxyTo != "":
		x := &proxy.Handler{Target: h.ProxyTo, ConnectTimeout: h.ConnectTimeout, AnswerTimeout: h.AnswerTimeout, Answers: h.Answers}
		return x, x.Check()
	default:
		return &echo.Handler{
			Raw:          h.Echo == "raw",
			Name:         "netserver",
			AllowControl: h.EchoControl,
			Exit:         func() { p.exit() }, // which a worker sets later
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

// handlerName says in a few words what serves the clients.
func (c *Config) handlerName(library bool) string {
	switch h := &c.Handler; {
	case library:
		return "handler"
	case len(c.Program) > 0:
		return wire.ShortName("program " + c.Program[0])
	case h.ProxyTo != "":
		return wire.ShortName("proxy to " + h.ProxyTo)
	}
	return "echo"
}
