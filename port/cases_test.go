package port

import (
	"math/rand/v2"
	"strings"
)

// cases are the questions of the differential test: hand-written ones, then
// generated ones from a fixed seed. Each stands there once.
func cases() []kase {
	var out []kase
	seen := map[string]bool{}
	add := func(ks ...kase) {
		for _, k := range ks {
			if id := k.String(); !seen[id] {
				seen[id] = true
				out = append(out, k)
			}
		}
	}
	for _, ex := range examples {
		add(ex.kase)
	}
	add(textCases()...)
	add(listCases()...)
	rnd := rand.New(rand.NewPCG(20203, 443))
	for range 500 {
		add(regular(rnd))
	}
	for range 150 {
		add(paired(rnd))
	}
	for range 200 {
		add(soup(rnd))
	}
	return out
}

// textCases are texts that were worth a thought, each alone, with an explicit
// family, and with a default of every kind.
func textCases() []kase {
	texts := []string{
		"20203", "0", "00", "65535", "65536", "99999999999999999999", "http", "http-alt", "HTTP", "ntp/udp", "http/udp", "https/UDP",
		"20203/0", "20203/tls", "20203|tls", "20203/TLS", "20203/SSLeay", "20203|unknown::class", "20203/Net::Server::Proto::TCP",
		"http/Net::Server::Proto::TCP", "http/Net::Server::Proto::UDP", "x|Net::Server::Proto::UNIX", "20203/mytcp", "http/mytcp",
		"::1", "::20203", "::1:80", "::1:20203", "fe80::1", "2001:db8::5", "2001:db8::5:20203", "2001:db8::5/tcp", "2001:db8::20203", "[2001:db8::5]",
		"[::1]", "[::1]/443", "localhost/20203", "127.0.0.1/20203/tcp", "[::1]:http", "[::1]:http-alt", "localhost:http-alt", "dual.test:http-alt/udp", "[::ffff:127.0.0.1]:20203", "[::1.2.3.4]:20203", "[0:0:0:0:0:0:0:1]:20203",
		"[::FFFF]:20203", "[1::0:0:1]:20203", "1:2:3", "127.0.0.1:20203:20204", "localhost:20203 foo tcp",
		"fe80::1%eth0:20203", "[::1%lo]:20203", "[fe80::1%]:20203",
		"0:20203", "010.1:20203", "010.0.0.1:20203", "0x7f.1:20203", "0x7f000001:20203", "127.1:20203", "1.2.3.4.5:20203", "256.1:20203", "1.256.1.1:20203",
		"2130706433:20203", "20201,20202", "20201 20202", "20203-20205", "20203 - 20205", "20203..20205", "127.0.0.1:20203-20205",
		"two.test:20203", "twice.test:20203", "any.test:20203", "mapped.test:20203", "dual.test:20203", "dual.test:0", "*:0", "v6.test:20203", "v6.test:0",
		"20203/IPv5", "20203/IPv0", "20203/IPv45", "20203/IPv4x", "20203/ipv46", "20203/IPv64", "20203/IPv**", "20203/IPv4*", "IPv4", "/IPv4", "20203/v6", "20203/ipv",
		"20203/IPv4/IPv6/tcp", "20203/tcp/IPv4/IPv6", "20203/IPv4/tcp/IPv6", "20203/IPv4/IPv4/IPv4/tcp",
		"*", "[*]", "[]", ":", ",", "/", "|", " ", "*:", "[*]:", ":tcp", "/tcp", "tcp", "udp", "unix", "|unix", "/unix", "*:tcp", "a/b:20203", "a/b", "a b", "a b c",
		"my-host:20203", "my_host:20203", "my.host.:20203", "MY.HOST:20203", "LOCALHOST:20203", "host\xc3\xa9:20203", "-:20203", "--:20203",
		"127.0.0.1:20203\n", "\t127.0.0.1:20203", "127.0.0.1:\v20203", "127.0.0.1\n:20203", "127.0.0.1:20203/", "127.0.0.1:20203:", "/20203", "//20203",
		"/run/x.sock", "/run/xsock", "/run/x.sock|UNIX", "/run/x.sock, unix", "/run/x.sock:unix", "/run/x.sock|sock_stream|unix", "/run/x.sock sock_dgram unix",
		"/run/x.sock/sock_dgram/unix", "/run/x.sock|unix|sock_dgram", "/run/x.sock|SOCK_STREAM|unix", "/run/x.sock|unixdgram|sock_dgram", "/run/x.sock|sock_stream|unixdgram",
		"/run/x.sock|sock_dgram|sock_dgram|unix", "/run/x.sock|IPv4|unix", "/run/x.sock/IPv6/unix", "/run/ipv6/x.sock|unix", "/run/sock_dgram/x.sock|unix", "/run/my app|unix",
		"/run/x-|unix", "/run/x.|unix", "/run/tcp|unix", "/run/ipv4|unix", "/run/x/20203", "./x y|unix", "x y|unix", "x|unix", "*:x|unix", "[*]:x|unix", "localhost:x|unix",
		"localhost:/run/x.sock|unix", "@name|unix", "@na me|unix", "/run/a,b|unix", "/run/a\tb|unix", "/run/" + strings.Repeat("x", 102) + "|unix", "/run/" + strings.Repeat("x", 103) + "|unix",
		"20203|sock_dgram", "20203|sock_stream|tcp", "20203|sock_dgram|mytcp",
	}
	var out []kase
	for _, t := range texts {
		out = append(out, kase{Ports: t}, kase{Ports: t, IPvs: "4"})
		if strings.Contains(t, "/run") || len(t) < 5 {
			out = append(out, kase{Ports: t, Protos: "unix"})
		}
	}
	for _, v := range []string{"4", "6", "*", "46", "64", "IPv4", "ipv6", "IPv*", "IPv4 IPv6", "IPv6,IPv4", "4/6", "v4v6", "4*", "0", "", "5", "x", "45", "IPv4 IPv6 IPv4", " 6 "} {
		for _, h := range []string{"localhost", "127.0.0.1", "[::1]", "*", "dual.test"} {
			out = append(out, kase{Ports: "20203", Hosts: h, IPvs: v})
		}
		out = append(out, kase{Ports: "20203", EnvIPv: v}, kase{Ports: "20203/IPv6", EnvIPv: v, IPvs: "0"}, kase{Ports: list{hash{"port": "20203", "ipv": v}}, IPvs: "6"})
	}
	for _, h := range []string{"", "0", "*", "[]", "[*]", "localhost", "[localhost]", "localhost IPv4", "localhost/IPv4/IPv6", "localhost|IPv4/IPv6/IPv4", "[::1]/IPv4", "::1", "fe80::1%eth0", "a/b", "20203", "bad host!", "[", "]", "[::1", " localhost "} {
		out = append(out, kase{Ports: "20203", Hosts: h}, kase{Ports: ":20203", Hosts: h}, kase{Ports: "127.0.0.1:20203", Hosts: h}, kase{Ports: "/run/x.sock|unix", Hosts: h})
	}
	for _, p := range []string{"", "0", "tcp", "UDP", "ssl", "SSLEAY", "tls", "udp IPv6", "udp/IPv4/IPv6", "tcp IPv4 IPv6 IPv4", "unix", "UnixDgram", "My::Proto", "my::unix", "a b", "tcp udp", " tcp ", "20203", "v4", "IPv4", "::a", "a::"} {
		out = append(out, kase{Ports: "20203", Protos: p}, kase{Ports: "localhost:http", Protos: p}, kase{Ports: "20203/ssl", Protos: p})
	}
	return out
}

// listCases pair lists, and give maps.
func listCases() []kase {
	return []kase{
		{},
		{Ports: list{}},
		{DefaultPort: "http"},
		{Hosts: "127.0.0.1", Protos: "udp", DefaultPort: "20204"},
		{Ports: "20203", NoIPv6: true},
		{Ports: "20203", NoIPv6: true, IPvs: "6"},
		{Ports: "dual.test:20203", NoIPv6: true},
		{Ports: "any.test:20203", NoIPv6: true},
		{Ports: "20203", NoStack: true},
		{Ports: "localhost:http", NoStack: true},
		{Ports: "[::1]:20203", NoStack: true},
		{Ports: "dual.test:20203", NoStack: true},
		{Ports: "20203", NoStack: true, IPvs: "IPv4 IPv6"},
		{Ports: list{"1", "2", "3"}, Hosts: list{"127.0.0.1", "127.0.0.2"}},
		{Ports: list{"1", "2", "3"}, Hosts: list{"127.0.0.1", "127.0.0.2"}, Protos: list{"udp", "tcp", "ssl"}, IPvs: list{"4"}},
		{Ports: list{"1", "2", "3"}, Hosts: list{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"}},
		{Ports: list{"1", "2", "3"}, Hosts: list{"localhost/IPv4/IPv6", "127.0.0.2", "127.0.0.3"}},
		{Ports: list{"dual.test:1", "2", "3"}, Hosts: list{"127.0.0.1", "127.0.0.2", "127.0.0.3"}},
		{Ports: list{"1", "1", "2"}, Hosts: list{"127.0.0.1", "127.0.0.1", "127.0.0.2"}},
		{Ports: list{"20203", "20203"}, Hosts: "localhost", IPvs: list{"4", "6"}},
		{Ports: "20203", IPvs: list{"4", "6"}},
		{Ports: list{"20203", "*:20203", "[*]:20203/tcp"}},
		{Ports: list{"20203/tcp", "20203/TCP"}},
		{Ports: list{"20203/ssl", "20203/ssleay"}},
		{Ports: list{"20203/ssl", "20203/tcp"}},
		{Ports: list{"20203/udp", "20203/tcp"}},
		{Ports: list{"0", "0"}},
		{Ports: list{"0/IPv4", "0/IPv4", "00/IPv4", "00/IPv4"}},
		{Ports: list{"http", "80"}},
		{Ports: list{"http", "80"}, IPvs: "4"},
		{Ports: list{"/x|unix", "/x|unix", "/y|unixdgram"}},
		{Ports: list{"/x|unix", "/x|sock_dgram|unix"}},
		{Ports: list{"443/ssl", "80", "/run/x.sock|unix", "53/udp"}, Hosts: list{"127.0.0.1", "*"}},
		{Ports: list{"443/ssl", "[::1]:80", "bad host!:7", "8:99999"}, Hosts: "127.0.0.1"},
		{Ports: list{hash{"port": "443", "proto": "ssl", "SSL_cert_file": "a"}, hash{"port": "443", "proto": "ssl", "SSL_cert_file": "b"}}, Hosts: "127.0.0.1", IPvs: "4"},
		{Ports: list{hash{"port": "443", "proto": "ssl", "SSL_cert_file": "a"}, hash{"port": "443", "proto": "ssl", "SSL_cert_file": "a"}}, Hosts: "127.0.0.1", IPvs: "4"},
		{Ports: list{hash{"port": "443", "proto": "ssl", "SSL_cert_file": "a"}}},
		{Ports: list{hash{"port": "443/ssl"}}},
		{Ports: list{hash{"port": "127.0.0.1:443/ssl/IPv4", "listen": "5"}}},
		{Ports: list{hash{"port": "127.0.0.1:443", "host": "localhost"}}, IPvs: "4"},
		{Ports: list{hash{"port": "443/ssl", "proto": "tcp"}}, IPvs: "4"},
		{Ports: list{hash{"port": "443/IPv4", "ipv": "6"}}, IPvs: "4"},
		{Ports: list{hash{"port": "/run/x.sock|unix"}}},
		{Ports: list{hash{"port": "/run/x.sock"}}, Protos: "unix"},
		{Ports: list{hash{"port": "/run/x/unix", "proto": "unix"}}},
		{Ports: list{hash{"port": "/run/ipv6", "proto": "unix"}}},
		{Ports: list{hash{"port": "/run/x y", "proto": "unix", "host": "10.0.0.1"}}},
		{Ports: list{hash{"port": "http-alt", "host": "localhost", "ipv": list{"IPv4", "IPv6"}}}},
		{Ports: list{hash{"port": "20203", "host": "localhost IPv6", "proto": "udp IPv4"}}},
		{Ports: list{hash{"port": "20203", "host": "localhost IPv6"}}, IPvs: "4"},
		{Ports: list{hash{"port": "20203", "proto": "bad proto!"}}},
		{Ports: list{hash{"port": "20203", "host": "bad host!"}}},
		{Ports: list{hash{"port": "20203", "host": "0"}}, Hosts: "127.0.0.1"},
		{Ports: list{hash{"port": "20203", "ipv": "5"}}},
		{Ports: list{hash{"port": ""}}},
		{Ports: list{hash{"host": "localhost"}}},
		{Ports: list{hash{"port": "0"}}, IPvs: "4"},
		{Ports: list{hash{"port": "99999"}}, IPvs: "4"},
		{Ports: list{hash{"port": "/run/x.sock", "proto": "unix", "unix_type": "SOCK_DGRAM"}}},
		{Ports: list{hash{"port": "/run/x.sock", "proto": "unix", "unix_type": "2"}}},
		{Ports: list{hash{"port": "/run/x.sock", "proto": "unix", "unix_type": "dgram"}}},
		{Ports: list{hash{"port": "20203", "udp_recv_len": "100", "proto": "udp"}, "20204", hash{"port": "20205", "listen": "7"}}, Hosts: list{"127.0.0.1", "127.0.0.2"}, IPvs: "4"},
	}
}

// regular makes a well-formed specification, with or without defaults.
func regular(rnd *rand.Rand) kase {
	pick := func(words ...string) string { return words[rnd.IntN(len(words))] }
	host := pick("", "", "*", "[*]", "127.0.0.1", "[127.0.0.1]", "0.0.0.0", "[::1]", "::1", "[::]", "localhost", "localhost", "dual.test", "two.test", "10.1", "[v6.test]")
	port := pick("20203", "20203", "443", "1", "http", "https", "domain", "00080", "65535")
	proto := pick("", "", "tcp", "udp", "ssl", "ssleay", "TCP", "SSL", "My::Proto")
	ipv := pick("", "", "", "IPv4", "IPv6", "IPv*", "ipv46", "IPv4/IPv6", "IPv6 IPv4")
	sep := func() string { return pick(":", "|", ",", " ", " | ", ", ", "/") }
	text := port
	if host != "" {
		text = host + pick(":", ":", "|", ",", " ", " : ", ", ", "::") + port
	}
	words := []string{proto, ipv}
	if rnd.IntN(3) == 0 {
		words = []string{ipv, proto}
	}
	for _, w := range words {
		if w != "" {
			text += sep() + w
		}
	}
	k := kase{Ports: text}
	if rnd.IntN(4) == 0 {
		k.Hosts = pick("*", "127.0.0.1", "[::1]", "localhost", "localhost/IPv6", "dual.test|IPv4")
	}
	if rnd.IntN(4) == 0 {
		k.Protos = pick("tcp", "udp", "ssl", "UDP", "tcp/IPv6", "ssl IPv4 IPv6", "My::Proto")
	}
	if rnd.IntN(4) == 0 {
		k.IPvs = pick("4", "6", "*", "IPv4", "IPv6", "IPv4 IPv6", "v4v6", "46")
	}
	if rnd.IntN(8) == 0 {
		k.EnvIPv = pick("4", "6", "*", "46")
	}
	return k
}

// paired makes lists of several ports with lists to pair.
func paired(rnd *rand.Rand) kase {
	some := func(words ...string) any {
		var out list
		for range 1 + rnd.IntN(4) {
			out = append(out, words[rnd.IntN(len(words))])
		}
		return out
	}
	k := kase{Ports: some("1", "2", "3", "http", "4/udp", "127.0.0.1:5", "*:6", "/run/x.sock|unix", "7/ssl/IPv4", "[::1]:8")}
	if rnd.IntN(2) == 0 {
		k.Hosts = some("127.0.0.1", "127.0.0.2", "[::1]", "*", "localhost")
	}
	if rnd.IntN(3) == 0 {
		k.Protos = some("tcp", "udp", "ssl")
	}
	if rnd.IntN(3) == 0 {
		k.IPvs = some("4", "6", "*")
	}
	return k
}

// soup joins words without any regard to sense.
func soup(rnd *rand.Rand) kase {
	words := []string{"20203", "80", "http", "localhost", "127.0.0.1", "[::1]", "::1", "*", "tcp", "udp", "unix", "ssl", "IPv4", "IPv6", "IPv*", "foo", "My::Proto", "/run/x.sock", "sock_dgram", "x.sock", "[]", ""}
	seps := []string{":", "|", ",", " ", "/", "::", " / "}
	var b strings.Builder
	for range 1 + rnd.IntN(5) {
		if b.Len() > 0 {
			b.WriteString(seps[rnd.IntN(len(seps))])
		}
		b.WriteString(words[rnd.IntN(len(words))])
	}
	k := kase{Ports: b.String()}
	if rnd.IntN(2) == 0 {
		k.IPvs = []string{"4", "6", "46"}[rnd.IntN(3)]
	}
	return k
}
