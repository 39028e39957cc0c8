package serving

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"netserver"
	"netserver/conf"
	"netserver/handler/httpd"
	"netserver/handler/httpd/accesslog"
	"netserver/handler/httpd/apps"
	"netserver/handler/httpd/cgi"
	"netserver/handler/httpd/files"
	"netserver/handler/httpd/idle"
	"netserver/handler/httpd/redirect"
	"netserver/handler/httpd/reverse"
	"netserver/handler/proxy"
	"netserver/internal/childproc"
	"netserver/port"
)

// web reports whether the clients of s speak HTTP to it.
func (s *Service) web() bool {
	switch s.kind {
	case dispatches, sends, redirects:
		return true
	case runs, proxies:
		return s.Web.HTTP
	case echoes:
		return s.Web.HTTP && s.chosen != keyEcho
	}
	return false
}

// webName says in a few words what serves HTTP.
func (s *Service) webName() string {
	switch s.kind {
	case runs:
		return "HTTP: program " + s.Program[0]
	case dispatches:
		return fmt.Sprintf("HTTP: %d apps", len(s.Web.Apps))
	case sends:
		return "HTTP: files of " + s.Web.Root
	case redirects:
		return fmt.Sprintf("HTTP: redirect to https, port %d", s.Web.Redirect)
	case proxies:
		if s.byName() {
			return "HTTP: backend " + s.Backend
		}
		return "HTTP: proxy to " + s.ProxyTo[0]
	}
	return "HTTP: page"
}

// scripts reports whether s runs programs for HTTP requests.
func (s *Service) scripts() bool { return s.web() && (s.kind == runs || s.kind == dispatches) }

// webHandler makes a handler of HTTP.
func (m *maker) webHandler(s *Service) (netserver.Handler, error) {
	w := &s.Web
	origin := cgi.Origin{Software: cmp.Or(w.Revision, defaultRevision)}
	if m.env.Type != "" {
		origin.Type = "Net::Server::" + m.env.Type
	}
	h, err := m.answers(s, origin)
	if err != nil {
		return nil, err
	}
	if m.env.Answers != nil {
		h = m.env.Answers.Handler(h)
	}
	limit := idleLimit(m.s.in.Result.Get(keyIdle))
	h = idle.Handler(h, func(r *http.Request) time.Duration {
		if c := httpd.Conn(r.Context()); c != nil {
			if own := c.Port().Params[keyIdle]; len(own) > 0 {
				return idleLimit(own)
			}
		}
		return limit
	})
	log, err := m.accessLog(s, origin)
	if err != nil {
		return nil, err
	}
	if log != nil {
		h = log.Handler(h)
	}
	web := &httpd.Handler{
		Handler:       m.headed(origin.Software, s.kind == proxies, h),
		HeaderTimeout: cmp.Or(w.HeaderTimeout, defaultHeaderTimeout),
		IdleTimeout:   cmp.Or(limit, -1),
		MaxHeader:     cmp.Or(w.MaxHeader, defaultMaxHeader),
	}
	if log != nil {
		web.Refused = log.Refused
	}
	if s.kind == proxies {
		return &webProxy{web, m.targets[s]}, nil
	}
	return web, nil
}

// idleLimit reads timeout_idle; 0 is none. It is a little shorter than the
// engine's, which would cut the connection before it can be answered.
func idleLimit(vals []conf.Value) time.Duration {
	if len(vals) == 0 {
		return defaultIdle
	}
	var d time.Duration
	if conf.Seconds(&d, 0, time.Duration(math.MaxInt64)).Set(vals) != nil {
		return defaultIdle // the engine says what is wrong with it
	}
	return d - min(d/20, time.Second)
}

// answers makes what answers the requests.
func (m *maker) answers(s *Service, origin cgi.Origin) (http.Handler, error) {
	switch s.kind {
	case runs:
		return m.script(s, origin, s.Program)
	case dispatches:
		return m.table(s, origin)
	case sends:
		h := &files.Handler{Dir: s.Web.Root}
		if m.env.Jailed {
			return h, nil // it is below the root directory
		}
		if err := h.Open(); err != nil {
			return nil, fmt.Errorf("%s: %w", KeyRoot, cmp.Or(errors.Unwrap(err), err))
		}
		return h, nil
	case proxies:
		return m.reverse(s)
	case redirects:
		return &redirect.Handler{Port: s.Web.Redirect, Serves: m.env.Serves}, nil
	}
	return &cgi.Page{Origin: origin}, nil
}

// A webProxy is HTTP whose requests go to targets.
type webProxy struct {
	*httpd.Handler
	targets *proxy.Handler
}

// Run checks the targets.
func (w *webProxy) Run(ctx context.Context) { w.targets.Run(ctx) }

// Check refuses targets that are the server's own ports.
func (w *webProxy) Check(ports ...net.Addr) error {
	return errors.Join(w.Handler.Check(ports...), w.targets.Check(ports...))
}

// reverse makes a reverse proxy to the targets of s.
func (m *maker) reverse(s *Service) (http.Handler, error) {
	h, err := m.proxyHandler(s)
	if err != nil {
		return nil, err
	}
	p := h.(*proxy.Handler)
	if m.targets == nil {
		m.targets = make(map[*Service]*proxy.Handler)
	}
	m.targets[s] = p
	pool, err := p.Pool()
	if err != nil {
		return nil, err
	}
	d := m.dialOf(s)
	return &reverse.Handler{Dial: pool.Dial, PerClient: d.Transparent || d.ProxyProtocol == headerV1 || d.ProxyProtocol == headerV2 || pool.Balance == proxy.Source}, nil
}

// script makes a handler that runs a program for each request.
func (m *maker) script(s *Service, origin cgi.Origin, argv []string) (*cgi.Handler, error) {
	// A program has the variables of the request, and those that were asked for.
	origin.Env = childproc.GivenEnviron(s.ExecEnv)
	h := &cgi.Handler{
		Path: argv[0], Args: argv[1:], Origin: origin,
		Stderr: s.ExecStderr, KillGrace: s.ExecKillAfter,
		MaxHeader: cmp.Or(s.Web.MaxHeader, defaultMaxHeader), ContentType: s.Web.ContentType, TypeOnAllStatuses: s.Web.TypeAlways,
	}
	s.Exec.fillScript(h)
	if err := s.Exec.mayBecome(m.env); err != nil {
		return nil, err
	}
	m.starters = append(m.starters, h)
	if m.env.Jailed {
		return h, nil // it is looked for below the root directory later
	}
	return h, h.Check()
}

// shellWords are what makes a shell of a program's words in Net::Server.
const shellWords = "$&*(){}[]'\";\\|?<>~`\n"

// table makes a table of programs by path.
func (m *maker) table(s *Service, origin cgi.Origin) (http.Handler, error) {
	t := new(apps.Table)
	var errs []error
	for _, text := range s.Web.Apps {
		path, target := apps.Split(text)
		if path = apps.Path(path); path == "/" && strings.TrimSpace(target) == "" {
			errs = append(errs, fmt.Errorf("app %q names no program", text))
			continue
		}
		if short, program, ok := strings.Cut(path, "="); ok && program != "" && path != apps.Path(target) {
			errs = append(errs, fmt.Errorf("app %q: its path would be %s, up to the blank; for a program with arguments write %q", text, path, short+" "+program+" "+target))
			continue
		}
		if strings.ContainsAny(target, shellWords) {
			errs = append(errs, fmt.Errorf("app %s: no shell reads %q: write a script for it", path, target))
			continue
		}
		h, err := m.script(s, origin, strings.Fields(target))
		if err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", path, err))
			continue
		}
		if !t.Add(path, h) {
			m.notes = append(m.notes, fmt.Sprintf("Already found a path matching %q - skipping.", path))
			continue
		}
		m.notes = append(m.notes, fmt.Sprintf("  Dispatch: %s => %s", path, target))
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if t.Close() {
		_, target := apps.Split(s.Web.Apps[0])
		m.notes = append(m.notes, fmt.Sprintf("  Dispatch: / => %s (default)", target))
	}
	return t, nil
}

// programsOf returns the programs of s, with their arguments.
func programsOf(s *Service) (list [][]string) {
	switch s.kind {
	case runs:
		return [][]string{s.Program}
	case dispatches:
		for _, text := range s.Web.Apps {
			if _, target := apps.Split(text); target != "" {
				list = append(list, strings.Fields(target))
			}
		}
	}
	return list
}

// accessLog returns the access log; nil if there is none.
func (m *maker) accessLog(s *Service, origin cgi.Origin) (*accesslog.Log, error) {
	if m.env.Access == nil {
		return nil, nil
	}
	text, err := m.s.requestFormat(s)
	if err != nil {
		return nil, err
	}
	f, err := accesslog.Parse(text)
	if err != nil {
		return nil, err
	}
	return &accesslog.Log{Format: f, Write: m.env.Access, Origin: origin}, nil
}

// headed adds the Server header. A server that serves one client at a time
// closes each connection after its answer, for the next client.
func (m *maker) headed(software string, proxied bool, next http.Handler) http.Handler {
	single := m.env.Type == "Single"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		if !proxied { // else it is the target's
			h.Set("Server", software)
		}
		if single {
			h.Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// checkRedirect refuses a redirect to https for clients that have come by TLS, or
// where nobody can.
func (m *maker) checkRedirect(spec port.Spec, s *Service) error {
	if !slices.ContainsFunc(s.Leaves(), func(x *Service) bool { return x.is(redirects) }) {
		return nil
	}
	if spec.IsTLS() {
		return located(fmt.Errorf("port %s: %s is for ports without TLS: clients of this one speak it already", spec.Short(), keyRedirect), s.at)
	}
	if !slices.ContainsFunc(m.s.in.Ports, port.Spec.IsTLS) {
		return located(fmt.Errorf("port %s: %s leads to hosts that this server has certificates for, and it has no TLS port", spec.Short(), keyRedirect), s.at)
	}
	return nil
}

// AnswersHTTP reports whether there is a port that serves HTTP, and whether one of
// them is port 80 without TLS.
func (s *Services) AnswersHTTP() (any, at80 bool) {
	for i, spec := range s.in.Ports {
		if !spec.IsDatagram() && slices.ContainsFunc(s.Of(i).Leaves(), (*Service).web) {
			any = true
			at80 = at80 || spec.Kind() == port.TCP && (spec.Port == "80" || spec.Port == "http")
		}
	}
	return any || s.faulty, at80 || s.faulty
}

// WebRoots returns the directories whose files are served.
func (s *Services) WebRoots() (list []string) {
	for _, x := range s.Used() {
		if dir := x.Web.Root; x.kind == sends && !slices.Contains(list, dir) {
			list = append(list, dir)
		}
	}
	return list
}
