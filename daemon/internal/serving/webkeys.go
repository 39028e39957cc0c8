package serving

import (
	"time"

	"netserver/conf"
	"netserver/handler/httpd/accesslog"
)

// A WebConfig is how HTTP is served.
type WebConfig struct {
	HTTP bool   // clients speak HTTP, where the handler is none for another protocol
	Root string // the directory whose files are served
	// Redirect is the port of https that requests are sent on to; 0 is none.
	Redirect int
	Apps     []string // PATH TARGET, PATH=TARGET or TARGET: programs by path
	// Dispatch is enable_dispatch: apps are used in any case.
	Dispatch bool

	HeaderTimeout time.Duration // for a request's head
	MaxHeader     int           // bytes of a request's head, and of a program's
	Revision      string        // the Server header and NET_SERVER_SOFTWARE
	ContentType   string        // of answers that have none
	TypeAlways    bool          // of those without a body, too
	LogFormat     string        // of the access log: of requests, or of connections
}

// The keys of HTTP that choose a handler, or say that it is one of HTTP.
const (
	keyApp  = "app"
	KeyRoot = "http_root"
	KeyHTTP = "http"

	keyRedirect = "http_redirect"
)

// keyIdle is a key of the engine, which cuts a connection without a byte. HTTP
// has an answer for that, and a default.
const (
	keyIdle     = "timeout_idle"
	defaultIdle = 60 * time.Second
)

// The defaults of HTTP.
const (
	defaultHeaderTimeout = 15 * time.Second
	defaultMaxHeader     = 100_000
	defaultRevision      = "netserver"
	defaultContentType   = "text/html"
)

// define defines the keys of w with def: for the server and its ports, or for a
// route.
func (w *WebConfig) define(def func(conf.Key, conf.Binder)) {
	define := func(when conf.When, net bool, name, arg, def_, help string, b conf.Binder) {
		def(conf.Key{Name: name, When: when, Arg: arg, Default: def_, Help: help, NetServer: net}, b)
	}
	define(FactCommand, false, KeyHTTP, "0|1", "", "the clients speak HTTP: a program is run for each request (CGI), each goes to a target of proxy_to or backend by HTTP, and without a handler they get a page that shows the request's environment; type HTTP says it for all ports", conf.Bool(&w.HTTP))
	def(conf.Key{Name: keyApp, When: FactCommand + " " + FactShared, NetServer: true, Arg: "PATH=PROGRAM", List: true, Help: "HTTP: run this program for requests whose path begins so (CGI); PATH PROGRAM too, or a PROGRAM that is its own path. The first that fits counts; without / the first one serves that as well"},
		conf.Strings(&w.Apps))
	def(conf.Key{Name: KeyRoot, When: FactCommand + " " + FactShared, Arg: "DIR", Help: "HTTP: serve the files below this directory; no link leads out of it, and names that begin with a dot are not found"},
		conf.String(&w.Root))
	def(conf.Key{Name: keyRedirect, When: FactCommand + " " + FactShared, Arg: "PORT", Help: "HTTP: send every request on to https at this port, which is 443 as a rule, of the host that it is for, if there is a certificate for that; for a port without TLS beside one with it"},
		conf.Int(&w.Redirect, 1, 65535))
	define(FactApps, true, "enable_dispatch", "0|1", "", "use the paths of app, which is always so here", conf.Bool(&w.Dispatch))
	define(FactWeb, true, "timeout_header", "SECONDS", "15", "for the head of an HTTP request", conf.Seconds(&w.HeaderTimeout, time.Millisecond, time.Hour))
	define(FactWeb, true, "max_header_size", "BYTES", "100000", "of the head of an HTTP request (4097 at least), and of the headers of a program", conf.Int(&w.MaxHeader, 1, 1<<24))
	define(FactWeb, true, "server_revision", "TEXT", defaultRevision, "the Server header of HTTP answers, and NET_SERVER_SOFTWARE", conf.String(&w.Revision))
	define(FactScripts, true, "default_content_type", "TYPE", defaultContentType, "of HTTP answers of programs that name none", conf.String(&w.ContentType))
	define(FactScripts, true, "allow_body_on_all_statuses", "0|1", "", "leave Content-Type to HTTP answers of programs that can have no body (statuses 204 and 304); the body is never sent", conf.Bool(&w.TypeAlways))
	define("access_log_file", true, "access_log_format", "FORMAT", "", "of a line of the access log: text, json, or directives: those of Net::Server::HTTP for requests (docs/HTTP.md; the default there is Apache's combined), %{NAME} for connections (docs/LOGS.md; the default is text)", conf.Func(w.setLogFormat))
}

func (w *WebConfig) setLogFormat(vals []conf.Value) error {
	v := vals[len(vals)-1]
	if _, err := accesslog.Parse(v.Text); err != nil {
		return v.Errorf("%v", err)
	}
	w.LogFormat = v.Text
	return nil
}
