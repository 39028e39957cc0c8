package proto

import (
	"errors"
	"net"
	"strings"
	"testing"

	"netserver/conf"
	"netserver/port"
)

func spec(proto string, params ...string) port.Spec {
	p := port.Spec{Host: "*", Port: "7", Proto: proto, IPv: "*", Params: conf.Values{}}
	for _, param := range params {
		key, text, _ := strings.Cut(param, "=")
		p.Params[key] = append(p.Params[key], conf.Value{Text: text, Origin: conf.Origin{Source: conf.SourceFile, File: "server.conf", Line: 3}})
	}
	return p
}

func TestBuiltinNetworks(t *testing.T) {
	for _, tc := range []struct{ proto, param, network string }{
		{"tcp", "listen=5", "tcp"},
		{"tcp", "tcp_keepalive=60", "tcp"},
		{"udp", "udp_recv_len=100", "udp"},
		{"udp", "udp_broadcast=1", "udp"},
		{"unix", "unix_mode=0600", "unix"},
		{"unix", "unix_type=SOCK_STREAM", "unix"},
		{"unix", "unix_type=1", "unix"},
		{"unix", "unix_type=sock_dgram", "unixgram"},
		{"unix", "unix_type=2", "unixgram"},
		{"unixdgram", "udp_recv_len=100", "unixgram"},
		{"unixdgram", "unix_type=Sock_Dgram", "unixgram"},
	} {
		tr, err := Builtin()[tc.proto](spec(tc.proto, tc.param))
		if err != nil {
			t.Errorf("%s %s: %v", tc.proto, tc.param, err)
			continue
		}
		if tr.Network() != tc.network {
			t.Errorf("%s %s: network %s, want %s", tc.proto, tc.param, tr.Network(), tc.network)
		}
	}
}

func TestPlainReadyReturnsTheSame(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for name, protocol := range Builtin() {
		tr, err := protocol(port.Spec{Port: "7", Proto: name})
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := tr.(Plain); !ok || !p.Plain() {
			t.Errorf("%s is not plain", name)
		}
		if got, err := tr.Ready(t.Context(), a); got != a || err != nil {
			t.Errorf("%s: Ready gave %v, %v", name, got, err)
		}
	}
}

func TestBuiltinIsNewEachTime(t *testing.T) {
	delete(Builtin(), "tcp")
	if Builtin()["tcp"] == nil {
		t.Error("a caller can change the built-in protocols of others")
	}
}

func TestRefusesParameters(t *testing.T) {
	for _, tc := range []struct {
		spec port.Spec
		want string
	}{
		{spec("tcp", "SSL_cert_file=x"), "port 7/tcp: SSL_cert_file was given, but the port is tcp and not ssl: remove the key, or write /ssl (server.conf:3)"},
		{spec("udp", "ssl_key_file=x"), "but the port is udp and not ssl"},
		{spec("unix", "SSL_version=x"), "but the port is unix and not ssl"},
		{spec("tcp", "udp_recv_len=9"), "port 7/tcp: udp_recv_len means nothing to a tcp port, which takes freebind, listen, reuse_port, tcp_keepalive (server.conf:3)"},
		{spec("udp", "listen=9"), "listen means nothing to a udp port, which takes freebind, reuse_port, udp_broadcast, udp_recv_len"},
		{spec("unix", "udp_recv_len=9"), "udp_recv_len means nothing to a unix port"},
		{spec("unix", "unix_type=2", "listen=9"), "listen means nothing"},
		{spec("unixdgram", "listen=9"), "listen means nothing to a unixdgram port"},
		{spec("tcp", "unix_mode=0600"), "unix_mode means nothing"},
		{spec("tcp", "colour=red"), "colour means nothing"},
		{spec("tcp", "listen=many"), `port 7/tcp: listen: "many" is not a whole number`},
		{spec("unix", "unix_type=SOCK_RAW"), `port 7/unix: unix_type: "SOCK_RAW" is not SOCK_STREAM or SOCK_DGRAM (server.conf:3)`},
		{spec("unixdgram", "unix_type=SOCK_RAW"), `port 7/unixdgram: unix_type: "SOCK_RAW" is not SOCK_STREAM or SOCK_DGRAM (server.conf:3)`},
		{spec("unixdgram", "unix_type=SOCK_STREAM"), "port 7/unixdgram: unix_type is a stream, but the port is for datagrams"},
	} {
		_, err := Builtin()[tc.spec.Proto](tc.spec)
		var pe *ParamError
		if !errors.As(err, &pe) || pe.Spec.Port != "7" || len(pe.Problems) != 1 {
			t.Errorf("%v: got %v", tc.spec.Params, err)
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got  %v\nwant %s", err, tc.want)
		}
	}
}

func TestNamesEveryBadParameter(t *testing.T) {
	_, err := TCP(spec("tcp", "SSL_a=1", "SSL_b=2", "listen=x", "reuse_port=y"))
	if err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("want 4 lines, got %v", err)
	}
}
