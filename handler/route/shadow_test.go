package route_test

import (
	"net/netip"
	"strings"
	"testing"

	"netserver/handler/route"
)

// Routes that no client reaches are named, by whatever conditions the ones
// before them have theirs.
func TestShadows(t *testing.T) {
	sni := func(v ...string) route.Condition { return must(route.SNI(v...)) }
	alpn := func(v ...string) route.Condition { return must(route.ALPN(v...)) }
	begins := func(v ...string) route.Condition { return must(route.Begins(v...)) }
	from := func(v ...string) route.Condition {
		var nets []netip.Prefix
		for _, text := range v {
			nets = append(nets, netip.MustParsePrefix(text))
		}
		return must(route.From(nets...))
	}
	cn := func(v ...string) route.Condition { return must(route.CertCN(v...)) }
	pass := func(c ...route.Condition) route.Route {
		return route.Route{When: c, PassThrough: true, Handler: say("")}
	}
	take := func(c ...route.Condition) route.Route { return route.Route{When: c, Handler: say("")} }
	list := func(r ...route.Route) []route.Route { return r }
	const tcp, unix, tls = route.WireTCP, route.WireUnix, route.WireTLS
	never := func(n, by string) string {
		if by == "" {
			return "route " + n + " is never reached: "
		}
		return "route " + n + " is never reached: route" + by
	}
	for _, c := range []struct {
		name   string
		wire   route.Wire
		routes []route.Route
		want   string // "" for none
	}{
		{"tls before names", tcp, list(take(begins("tls")), take(sni("a"))), never("2", " 1 before it takes")},
		{"tls before protocols", unix, list(take(begins("ssh", "tls")), take(alpn("h2"))), never("2", " 1")},
		{"a text that TLS begins with", tcp, list(take(begins("\x16")), take(sni("a"))), never("2", " 1")},
		{"ssh before names", tcp, list(take(begins("ssh")), take(sni("a"))), ""},
		{"names before tls", tcp, list(take(sni("a")), take(begins("tls"))), ""},
		{"tls inside TLS", tls, list(take(begins("tls")), take(sni("a"))), ""},
		{"tls inside TLS, and not decrypted", tls, list(take(begins("tls")), pass(sni("a"))), never("2", " 1")},
		{"a certificate, and not decrypted", tls, list(take(cn("joe")), pass(sni("a"))), never("2", " 1")},
		{"a certificate for another name", tls, list(take(cn("joe"), sni("b")), pass(sni("a"))), ""},
		{"not decrypted before decrypted", tls, list(pass(sni("*.x")), take(sni("a.x"))), never("2", " 1")},
		{"perhaps decrypted", tls, list(take(sni("a.x"), cn("joe")), pass(sni("*.x")), take(sni("a.x"))), ""},
		{"decrypted before not decrypted", tls, list(take(sni("a")), pass(sni("a"))), never("2", " 1")},
		{"each name by another", tls, list(take(sni("a")), take(sni("*.b")), take(sni("x.b", "a"))), never("3", "s 1, 2 before it take")},
		{"each name but one", tls, list(take(sni("a")), take(sni("b")), take(sni("a", "b", "c"))), ""},
		{"each name with another condition", tls, list(take(sni("a")), take(sni("b"), alpn("h2")), take(sni("a", "b"), alpn("h2"))), never("3", "s 1, 2")},
		{"each certificate by another", tls, list(take(cn("a")), take(cn("b")), take(cn("a", "b"))), never("3", "s 1, 2")},
		{"any name", tls, list(take(sni("/.+/")), take(sni("a", "*.b", "/x/"))), never("2", " 1")},
		{"any name, and none", tls, list(take(sni("/.+/")), take(sni("a", ""))), ""},
		{"an end", tls, list(take(sni(`/\.b$/`)), take(sni("*.b"))), never("2", " 1")},
		{"another end", tls, list(take(sni(`/\.c$/`)), take(sni("*.b"))), ""},
		{"any certificate", tls, list(take(cn("/.*/")), take(cn("joe"))), never("2", " 1")},
		{"halves of a network", tcp, list(take(from("10.0.0.0/9", "10.128.0.0/9")), take(from("10.0.0.0/8"))), never("2", " 1")},
		{"half of a network", tcp, list(take(from("10.0.0.0/9", "11.0.0.0/9")), take(from("10.0.0.0/8"))), ""},
		{"each network by another", tcp, list(take(from("10.0.0.0/8")), take(from("11.0.0.0/8")), take(from("10.1.0.0/16", "11.1.0.0/16"))), never("3", "s 1, 2")},
		{"all addresses", tcp, list(take(from("0.0.0.0/0", "::/0")), take(sni("a"))), never("2", " 1")},
		{"all addresses but those of IPv6", tcp, list(take(from("0.0.0.0/0")), take(sni("a"))), ""},
		{"no addresses", unix, list(take(from("0.0.0.0/0", "::/0")), take(sni("a"))), ""},
		{"no addresses, with TLS", route.WireUnixTLS, list(take(from("0.0.0.0/0", "::/0")), take(sni("a"))), ""},
		{"any line", tcp, list(take(begins("/^/")), take()), never("2", " 1")},
		{"a shorter text", tcp, list(take(begins("GE", "H")), take(begins("GET ", "text=HEAD"))), never("2", " 1")},
		{"a longer text", tcp, list(take(begins("GET ")), take(begins("GE"))), ""},
		{"a text of a protocol", tcp, list(take(begins("http")), take(begins("GET /x"))), never("2", " 1")},
		{"a protocol of a text", tcp, list(take(begins("SSH")), take(begins("ssh"))), never("2", " 1")},
		{"zeros before postgres", tcp, list(take(begins("\x00")), take(begins("postgres"))), never("2", " 1")},
		{"an expression", tcp, list(take(begins("/^GET$/")), take(begins("GET"))), ""},
		{"less silence", tcp, list(take(begins("silence=1s")), take(begins("silence=2s"))), never("2", " 1")},
		{"more silence", tcp, list(take(begins("silence=2s")), take(begins("silence=1s"))), ""},
		{"a name of ssh", tcp, list(take(sni("a"), begins("ssh", "silence=1s"))), never("1", "") + "sni is known of clients that begin with TLS"},
		{"a name of tls", tcp, list(take(sni("a"), begins("ssh", "tls"))), ""},
		{"a name, and ssh inside TLS", tls, list(take(sni("a"), begins("ssh"))), ""},
	} {
		h := route.Handler{Routes: c.routes}
		got := strings.Join(h.Warnings(c.wire), "\n")
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
