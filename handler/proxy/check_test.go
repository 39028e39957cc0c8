package proxy_test

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"netserver/handler/proxy"
)

func TestCheckTarget(t *testing.T) {
	for _, good := range []string{
		"127.0.0.1:6379", "[::1]:6379", "[fe80::1%lo]:80", "localhost:1", "db.example.org:65535", "localhost:http",
		"/run/redis.sock", "unix:/run/redis.sock", "unix:redis.sock", "unix:@redis", "/a path/with blanks",
	} {
		if err := (&proxy.Handler{Target: good}).Check(); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, test := range []struct{ target, want string }{
		{"", `proxy_to "": no target`},
		{"localhost", "proxy_to localhost: missing port in address: write host:port"},
		{"6379", "missing port"},
		{":6379", "the host is missing"},
		{"*:6379", "the host is missing"},
		{"localhost:", `"" is neither a port`},
		{"localhost:0", `"0" is neither a port`},
		{"localhost:65536", `"65536" is neither a port`},
		{"localhost:-1", `"-1" is neither a port`},
		{"localhost:nosuchservice", `"nosuchservice" is neither a port`},
		{"::1:6379", "too many colons"},
		{"[::1]6379", "missing port"},
		{"[::1", "missing ']'"},
		{"[::g]:80", `"::g" is not an IPv6 address`},
		{"a b:80", `"a b" is not a host`},
		{"\ufeff192.0.2.1:80", "is not a host"},
		{"a,b:80", `"a,b" is not a host`},
		{"run/x.sock:80", `"run/x.sock" is not a host`},
		{"tcp://localhost:80", "tcp:// is not supported"},
		{"unix:", "the socket path is missing"},
		{"unix:@", "the socket path is missing"},
		{"/" + strings.Repeat("x", 200), "the socket path has 201 bytes; the system's limit is "},
		{"localhost:80\n", "a control character"},
		{"/run/\x1b[31m", "a control character"},
	} {
		err := (&proxy.Handler{Target: test.target}).Check()
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "proxy_to ") {
			t.Errorf("%q: %v, want %q", test.target, err, test.want)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%q garbles its message", test.target)
		}
	}
}

func TestCheckOwnPorts(t *testing.T) {
	tcp := func(s string) net.Addr { a, _ := net.ResolveTCPAddr("tcp", s); return a }
	udp := func(s string) net.Addr { a, _ := net.ResolveUDPAddr("udp", s); return a }
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	must(t, err)
	defer l.Close()
	unix := func(name string) net.Addr { return &net.UnixAddr{Name: name, Net: "unix"} }
	gram := &net.UnixAddr{Name: "/run/gram", Net: "unixgram"}
	for _, test := range []struct {
		target string
		own    net.Addr
		want   string // "" is no error
	}{
		{"127.0.0.1:80", tcp("127.0.0.1:80"), "the target is port 127.0.0.1:80 of this server itself"},
		{"127.0.0.1:http", tcp("127.0.0.1:80"), "this server itself"},
		{"localhost:80", tcp("127.0.0.1:80"), "this server itself"},
		{"localhost:80", tcp("[::1]:80"), "this server itself"},
		{"localhost:80", tcp("[::]:80"), "this server itself"},
		{"[::ffff:127.0.0.1]:80", tcp("127.0.0.1:80"), "this server itself"},
		{"127.0.0.2:80", tcp("0.0.0.0:80"), "this server itself"},
		{"127.0.0.1:80", tcp("[::]:80"), "this server itself"},
		{"[::1]:80", tcp("[::]:80"), "this server itself"},
		{"0.0.0.0:80", tcp("127.0.0.1:80"), "this server itself"},
		{"127.0.0.1:80", udp("127.0.0.1:80"), "the target is port 127.0.0.1:80/udp of this server itself"},
		{path, unix(path), "the target is socket " + path + " of this server itself"},
		{"unix:" + path, unix(filepath.Dir(path) + "/../" + filepath.Base(filepath.Dir(path)) + "/s"), "this server itself"},
		{"/run/x", udp("127.0.0.1:80"), "cannot go to a socket path"},
		{"/run/x", gram, "cannot go to a socket path"},

		{"127.0.0.1:81", tcp("127.0.0.1:80"), ""},
		{"127.0.0.2:80", tcp("127.0.0.1:80"), ""},
		{"[::1]:80", tcp("0.0.0.0:80"), ""},
		{"192.0.2.1:80", tcp("[::]:80"), ""},
		{"example.org:80", tcp("[::]:80"), ""},
		{"localhost:80", tcp("192.0.2.1:80"), ""},
		{"/run/x", tcp("127.0.0.1:80"), ""},
		{"/run/x", unix("/run/y"), ""},
		{"127.0.0.1:80", unix("/run/y"), ""},
		{"127.0.0.1:80", gram, ""},
	} {
		err := (&proxy.Handler{Target: test.target}).Check(test.own)
		switch {
		case test.want == "" && err != nil:
			t.Errorf("%s with %v: %v", test.target, test.own, err)
		case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s with %v: %v, want %q", test.target, test.own, err, test.want)
		}
	}
}

func TestCheckOwnInterface(t *testing.T) {
	addrs, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if !ok || ip.IP.To4() == nil {
			continue
		}
		target := net.JoinHostPort(ip.IP.String(), "80")
		if (&proxy.Handler{Target: target}).Check(&net.TCPAddr{IP: net.IPv6zero, Port: 80}) == nil {
			t.Errorf("%s is this machine, but was not found", target)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{"", "localhost:80", "[::1]:80", "[fe80::1%lo]:80", "/run/x", "unix:x", "unix:@x", "a://b", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		err := (&proxy.Handler{Target: s}).Check(&net.TCPAddr{Port: 80}, &net.UDPAddr{Port: 80}, &net.UnixAddr{Name: "/x", Net: "unix"})
		if err == nil && strings.ContainsAny(s, "\x00\n\r\x1b") {
			t.Errorf("%q passes", s)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x00\n\r\x1b") {
			t.Errorf("%q garbles its message", s)
		}
	})
}
