package route_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"netserver"
	"netserver/handler/route"
	"netserver/proto"
)

// A speaker speaks protocols that clients choose by ALPN.
type speaker []string

func (speaker) Serve(context.Context, *netserver.Conn) error   { return nil }
func (s speaker) NextProtos(hello *proto.ClientHello) []string { return s }

func known(c route.Condition, err error) route.Condition {
	if err != nil {
		panic(err)
	}
	return c
}

// TestNextProtos: a port offers what the client's Handler speaks, or all that
// may be its Handler.
func TestNextProtos(t *testing.T) {
	web, old := speaker{"h2", "http/1.1"}, speaker{"http/1.1"}
	var mute netserver.Handler = netserver.HandlerFunc(func(context.Context, *netserver.Conn) error { return nil })
	sni := func(name string) []route.Condition { return []route.Condition{known(route.SNI(name))} }
	from := []route.Condition{known(route.From(netip.MustParsePrefix("10.0.0.0/8")))}
	cn := []route.Condition{known(route.CertCN("ann"))}
	begins := []route.Condition{known(route.Begins("http"))}
	alpn := []route.Condition{known(route.ALPN("h2"))}
	more := func(a, b []route.Condition) []route.Condition { return slices.Concat(a, b) }
	for _, tt := range []struct {
		name string
		h    *route.Handler
		want []string
	}{
		{"default", &route.Handler{Default: web}, web},
		{"nobody", &route.Handler{}, nil},
		{"by name", &route.Handler{Routes: []route.Route{{When: sni("a"), Handler: old}, {When: sni("b"), Handler: web}}, Default: mute}, web},
		{"not by name", &route.Handler{Routes: []route.Route{{When: sni("a"), Handler: web}}, Default: mute}, nil},
		{"perhaps by address", &route.Handler{Routes: []route.Route{{When: from, Handler: old}}, Default: web}, old},
		{"perhaps by certificate", &route.Handler{Routes: []route.Route{{When: cn, Handler: mute}}, Default: web}, []string{}},
		{"perhaps by bytes", &route.Handler{Routes: []route.Route{{When: begins, Handler: web}}, Default: old}, old},
		{"by ALPN", &route.Handler{Routes: []route.Route{{When: alpn, Handler: mute}}, Default: web}, web},
		{"by ALPN, of what speaks for nobody", &route.Handler{Routes: []route.Route{{When: alpn, Handler: mute}}, Default: mute}, []string{"h2"}},
		{"by ALPN, beside another", &route.Handler{Routes: []route.Route{{When: alpn, Handler: mute}}, Default: old}, []string{"http/1.1", "h2"}},
		{"by ALPN, which the client does not name", &route.Handler{Routes: []route.Route{{When: []route.Condition{known(route.ALPN("x"))}, Handler: mute}}, Default: mute}, nil},
		{"by ALPN and name", &route.Handler{Routes: []route.Route{{When: more(alpn, sni("b")), Handler: mute}, {When: sni("b"), Handler: old}}}, []string{"http/1.1", "h2"}},
		{"by ALPN and another's name", &route.Handler{Routes: []route.Route{{When: more(alpn, sni("a")), Handler: mute}}, Default: old}, old},
		{"by ALPN and address", &route.Handler{Routes: []route.Route{{When: more(from, alpn), Handler: mute}}, Default: old}, old},
		{"by ALPN, after another", &route.Handler{Routes: []route.Route{{When: sni("b"), Handler: old}, {When: alpn, Handler: mute}}}, old},
		{"by ALPN, undecrypted", &route.Handler{Routes: []route.Route{{When: alpn, Handler: mute, PassThrough: true}}, Default: mute}, nil},
		{"undecrypted", &route.Handler{Routes: []route.Route{{When: sni("b"), Handler: mute, PassThrough: true}}, Default: web}, web},
	} {
		if got := tt.h.NextProtos(&proto.ClientHello{ServerName: "b", ALPN: []string{"h2", "http/1.1"}}); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
