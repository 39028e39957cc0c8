package port

// An example is a case with its result: rows, or "ERROR " and how the error
// begins.
type example struct {
	kase kase
	want string
}

var examples = []example{
	{kase{Ports: "20203"}, "::, 20203, tcp, *"},
	{kase{Ports: "20203", IPvs: "4"}, "*, 20203, tcp, 4"},
	{kase{Ports: "20203", Hosts: "*", IPvs: "6"}, "*, 20203, tcp, 6"},
	{kase{Ports: "20203", Hosts: "*", IPvs: "IPv4 IPv6"}, "*, 20203, tcp, 6 + *, 20203, tcp, 4"},
	{kase{Ports: "*:20203"}, "::, 20203, tcp, *"},
	{kase{Ports: "*:20203/IPv4"}, "*, 20203, tcp, 4"},
	{kase{Ports: "[*]:20203:IPv6"}, "*, 20203, tcp, 6"},
	{kase{Ports: "[]:20203"}, "::, 20203, tcp, *"},
	{kase{Ports: ":20203"}, "::, 20203, tcp, *"},
	{kase{Ports: "127.0.0.1:20203"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "[127.0.0.1]:20203/tcp"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "127.0.0.1:20203", Hosts: "10.0.0.1"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "0.0.0.0:20203"}, "0.0.0.0, 20203, tcp, 4"},
	{kase{Ports: "20203", Hosts: "127.0.0.1", IPvs: "6"}, "127.0.0.1, 20203, tcp, 6"},
	{kase{Ports: "1.2.3:20203"}, "1.2.0.3, 20203, tcp, 4"},
	{kase{Ports: "20203", Hosts: "256.1.1.1"}, "ERROR Unresolveable host [256.1.1.1]:20203: invalid ip"},
	{kase{Ports: "[::1]:20203"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "[::]:20203"}, "::, 20203, tcp, 6"},
	{kase{Ports: "::1:20203"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "::1, 20203"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "::1|20203"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "20203", Hosts: "[::1]", IPvs: "4"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "[::1]:20203 ipv6 tcp"}, "::1, 20203, tcp, 6"},
	{kase{Ports: "[fe80::1%eth0]:20203"}, "fe80::1%eth0, 20203, tcp, 6"}, // a deliberate difference
	{kase{Ports: "localhost:20203"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "localhost:20203/IPv4"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "localhost, 20203, tcp, IPv*"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "localhost | 20203 | tcp | IPv4"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "localhost 20203 tcp IPv4"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "localhost:20203:tcp:IPv4"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "localhost::20203"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "localhost:20203/IPv4/IPv6"}, "localhost, 20203, tcp, 6 + localhost, 20203, tcp, 4"},
	{kase{Ports: "localhost:IPv6:20203"}, "localhost, 20203, tcp, 6"},
	{kase{Ports: "20203", Hosts: "localhost/IPv6"}, "localhost, 20203, tcp, 6"},
	{kase{Ports: "20203", Hosts: "localhost", Protos: "udp IPv6"}, "localhost, 20203, udp, 6"},
	{kase{Ports: "20203/IPv4", Hosts: "localhost/IPv6"}, "localhost, 20203, tcp, 6"},
	{kase{Ports: "20203/IPv4", Hosts: "localhost/IPv6", Protos: "tcp/IPv4", IPvs: "6"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "20203", Hosts: "localhost", IPvs: "v4v6"}, "localhost, 20203, tcp, 6 + localhost, 20203, tcp, 4"},
	{kase{Ports: "20203", Hosts: "localhost", IPvs: "5"}, "ERROR Invalid ipv parameter - must contain 4, 6, or *"},
	{kase{Ports: "localhost:20203", EnvIPv: "4"}, "localhost, 20203, tcp, 4"},
	{kase{Ports: "20203", EnvIPv: "6", Hosts: "127.0.0.1"}, "127.0.0.1, 20203, tcp, 6"},
	{kase{Ports: "20203/udp", IPvs: "4"}, "*, 20203, udp, 4"},
	{kase{Ports: "20203|ssl", IPvs: "4"}, "*, 20203, ssl, 4"},
	{kase{Ports: "20203/UDP", Hosts: "127.0.0.1", Protos: "ssl"}, "127.0.0.1, 20203, UDP, 4"},
	{kase{Ports: "20203/mytcp", IPvs: "4"}, "*, 20203, mytcp, 4"},
	{kase{Ports: "20203|mytcp", IPvs: "4"}, "ERROR Could not determine host from \"20203\": that is a number"}, // a deliberate difference
	{kase{Ports: "20203/My::Proto", IPvs: "4"}, "*, 20203, My::Proto, 4"},
	{kase{Ports: "20203", Protos: "bad proto!"}, "ERROR Could not determine proto from \"bad proto!\""},
	{kase{Ports: "localhost:http"}, "127.0.0.1, 80, tcp, 4"},
	{kase{Ports: "localhost:http/IPv4"}, "localhost, http, tcp, 4"},
	{kase{Ports: "127.0.0.1:https/ssl"}, "127.0.0.1, 443, ssl, 4"}, // a deliberate difference
	{kase{Ports: "127.0.0.1:https/ssl/IPv4"}, "127.0.0.1, https, ssl, 4"},
	{kase{Ports: "127.0.0.1:0"}, "127.0.0.1, 0, tcp, 4"},
	{kase{Ports: ""}, "::, 0, tcp, *"},
	{kase{Ports: "127.0.0.1:99999"}, "ERROR Could not determine port number from host [127.0.0.1]:99999: the highest port is 65535"},      // a deliberate difference
	{kase{Ports: "20203-20205", IPvs: "4"}, "ERROR Could not determine port number from host [*]:20203-20205: list each port of a range"}, // a deliberate difference
	{kase{Ports: "20203 ", Hosts: "127.0.0.1"}, "127.0.0.1, 20203, tcp, 4"},                                                               // a deliberate difference
	{kase{Ports: "20203/tcp/udp", IPvs: "4"}, "ERROR Could not determine port number from host [*]:20203/tcp: write one protocol only"},   // a deliberate difference
	{kase{Ports: "20203", Hosts: "bad host!"}, "ERROR Could not determine host from \"bad host!\""},
	{kase{Ports: "20203", Hosts: "nosuch.invalid"}, "ERROR Unresolveable [nosuch.invalid]:20203: lookup nosuch.invalid: no such host"},
	{kase{Ports: "/run/x.sock|unix"}, "*, /run/x.sock, unix, *"},
	{kase{Ports: "/run/x.sock/unix"}, "*, /run/x.sock, unix, *"},
	{kase{Ports: "/run/x.sock unixdgram"}, "*, /run/x.sock, unixdgram, *"},
	{kase{Ports: "/run/x.sock|sock_dgram|unix"}, "*, /run/x.sock, unix, * {unix_type=sock_dgram}"},
	{kase{Ports: "/run/x.sock|SOCK_DGRAM|unix"}, "*, /run/x.sock, unix, * {unix_type=sock_dgram}"}, // a deliberate difference
	{kase{Ports: "/run/x.sock", Hosts: "127.0.0.1", Protos: "unix"}, "127.0.0.1, /run/x.sock, unix, *"},
	{kase{Ports: "x.sock", Protos: "UNIX"}, "*, x.sock, UNIX, *"},
	{kase{Ports: "/run/x.sock"}, "ERROR Could not determine port number from host [*]:/run/x.sock"},
	{kase{Ports: "/run/xsock"}, "ERROR Could not determine port number from host [*]:/run"},
	{kase{Ports: "/run/x y.sock|unix"}, "*, /run/x y.sock, unix, *"},
	{kase{Ports: list{hash{"ipv": "4", "port": "20203"}}}, "*, 20203, tcp, 4"},
	{kase{Ports: list{hash{"host": "localhost", "ipv": list{"6", "4"}, "port": "20203"}}}, "localhost, 20203, tcp, 6 + localhost, 20203, tcp, 4"},
	{kase{Ports: list{hash{"SSL_cert_file": "c", "ipv": "4", "listen": "6", "port": "20203"}}}, "*, 20203, tcp, 4 {SSL_cert_file=c listen=6}"},
	{kase{Ports: list{hash{"SSL_cert_file": "c", "listen": "6", "port": "20203"}}}, "::, 20203, tcp, * {SSL_cert_file=c listen=6}"}, // a deliberate difference
	{kase{Ports: list{hash{"port": "20203"}}, Hosts: "127.0.0.1", Protos: "udp"}, "127.0.0.1, 20203, udp, 4"},
	{kase{Ports: list{hash{"ipv": "4", "port": "127.0.0.1:20203"}}}, "127.0.0.1, 20203, tcp, 4"}, // a deliberate difference
	{kase{Ports: list{hash{"port": "0"}}}, "::, 0, tcp, *"},                                      // a deliberate difference
	{kase{Ports: list{hash{"listen": "7", "port": "/run/x.sock", "proto": "unix", "unix_type": "sock_dgram"}}}, "*, /run/x.sock, unix, * {listen=7 unix_type=sock_dgram}"},
	{kase{Ports: "localhost/20203"}, "ERROR Could not determine port number from host [*]:localhost"},
	{kase{Ports: "127.0.0.1/20203/tcp"}, "ERROR Could not determine port number from host [*]:127.0.0.1/20203"},
	{kase{Ports: "127.0.0.1"}, "ERROR Could not determine port number from host [*]:127.0.0.1"},
	{kase{Ports: "*"}, "ERROR Could not determine port number from host [*]:*"},
	{kase{Ports: "127.0.0.1,20203/udp|IPv4"}, "127.0.0.1, 20203, udp, 4"},
	{kase{Ports: "20203/v4"}, "ERROR Could not determine proto from \"v4\" in \"20203/v4\""},                                                 // a deliberate difference
	{kase{Ports: "20203/IPv4/IPv6/IPv4"}, "ERROR Invalid ipv parameter - must contain 4, 6, or *: \"20203/IPv4/IPv6/IPv4\" has a third one"}, // a deliberate difference
	{kase{Ports: "0", IPvs: "4"}, "*, 0, tcp, 4"},
	{kase{Ports: "00080", Hosts: "127.0.0.1"}, "127.0.0.1, 00080, tcp, 4"},
	{kase{Ports: "+80", Hosts: "127.0.0.1"}, "ERROR Could not determine port number from host [127.0.0.1]:+80"},
	{kase{Ports: "127.0.0.1 : 20203 / tcp"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: "[ ::1 ]:20203"}, "ERROR Could not determine host from \"[ ::1 ]\""},
	{kase{Ports: "::ffff:127.0.0.1|20203"}, "::ffff:127.0.0.1, 20203, tcp, 6"},
	{kase{Ports: "20203", Hosts: "::"}, "::, 20203, tcp, 6"},
	{kase{Ports: list{hash{"host": "", "port": "20203"}}, Hosts: "127.0.0.1"}, "127.0.0.1, 20203, tcp, 4"},
	{kase{Ports: list{hash{"host": "localhost", "port": "20203", "proto": "udp/IPv4"}}}, "localhost, 20203, udp, 4"},
	{kase{Ports: list{hash{"host": "127.0.0.1", "ipv": "", "port": "20203"}}, IPvs: "6"}, "127.0.0.1, 20203, tcp, 6"},
	{kase{Ports: list{hash{"host": "127.0.0.1", "port": "http"}}}, "127.0.0.1, 80, tcp, 4"},
}
