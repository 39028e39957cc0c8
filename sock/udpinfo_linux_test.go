package sock

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"netserver/port"
)

// On a wildcard socket each datagram shows the address that it was sent to,
// and the answer comes from there.
func TestUDPAnswersFromTheAddressAsked(t *testing.T) {
	for _, tc := range []struct {
		name, host, ipv string
		targets         []string
	}{
		{"IPv4", "*", "4", []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}},
		{"DualStack", "*", "*", []string{"127.0.0.1", "127.0.0.2", "::1"}},
		{"IPv6", "*", "6", []string{"::1"}},
		{"OneAddress", "127.0.0.2", "4", []string{"127.0.0.2"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.ipv != "4" {
				needIPv6(t)
			}
			l := open(t, "udp", port.Spec{Host: tc.host, Port: "0", Proto: "udp", IPv: tc.ipv}, Options{})
			for _, target := range tc.targets {
				askAt(t, l, net.JoinHostPort(target, portOf(l)))
			}
		})
	}
}

// askAt sends to target and checks the addresses on both sides. The client's
// socket is not connected, so that it sees an answer from anywhere.
func askAt(t *testing.T, l net.Listener, target string) {
	t.Helper()
	to := netip.MustParseAddrPort(target)
	local := "127.0.0.1:0"
	if to.Addr().Is6() {
		local = "[::1]:0"
	}
	client, err := net.ListenPacket("udp", local)
	must(t, err)
	defer client.Close()
	must(t, client.SetDeadline(time.Now().Add(time.Minute)))
	_, err = client.WriteTo([]byte("ask"), net.UDPAddrFromAddrPort(to))
	must(t, err)

	c := acceptDatagram(t, l)
	if got := c.LocalAddr().String(); got != target {
		t.Errorf("LocalAddr is %s, want %s", got, target)
	}
	if got := c.RemoteAddr().String(); got != client.LocalAddr().String() {
		t.Errorf("RemoteAddr is %s, want %v", got, client.LocalAddr())
	}
	if ip := c.RemoteAddr().(*net.UDPAddr).IP; to.Addr().Is4() && len(ip) != 4 {
		t.Errorf("an IPv4 client has the address %v of %d bytes", ip, len(ip))
	}
	send(t, c, "answer")
	buf := make([]byte, 100)
	n, from, err := client.ReadFrom(buf)
	must(t, err)
	if from.String() != target || string(buf[:n]) != "answer" {
		t.Errorf("answer %q from %v, asked %s", buf[:n], from, target)
	}
}

// A broadcast is answered from an address of this machine.
func TestUDPAnswersBroadcast(t *testing.T) {
	for _, ipv := range []string{"4", "*"} {
		l := open(t, "udp", port.Spec{Host: "*", Port: "0", Proto: "udp", IPv: ipv}, Options{})
		client, err := net.ListenPacket("udp4", "127.0.0.1:0") // package net allows it broadcasts
		must(t, err)
		defer client.Close()
		must(t, client.SetDeadline(time.Now().Add(time.Minute)))
		_, err = client.WriteTo([]byte("x"), &net.UDPAddr{IP: net.IPv4(127, 255, 255, 255), Port: l.Addr().(*net.UDPAddr).Port})
		must(t, err)
		c := acceptDatagram(t, l)
		if got := c.LocalAddr().(*net.UDPAddr).IP.String(); got != "127.255.255.255" {
			t.Errorf("LocalAddr is %s", got)
		}
		send(t, c, "answer")
		_, from, err := client.ReadFrom(make([]byte, 100))
		must(t, err)
		if got := from.(*net.UDPAddr).IP.String(); got != "127.0.0.1" {
			t.Errorf("answered from %s", got)
		}
	}
}

func TestReadInfoSurvivesAnything(t *testing.T) {
	for n := range infoSpace {
		info := make([]byte, n)
		for i := range info {
			info[i] = byte(n - i)
		}
		readInfo(info, netip.MustParseAddr("127.0.0.1"))
		readInfo(info, netip.MustParseAddr("::1"))
	}
}

func FuzzReadInfo(f *testing.F) {
	f.Add([]byte{}, true)
	f.Add([]byte{28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 2, 0, 0, 0, 0}, true)
	f.Add([]byte{36, 0, 0, 0, 0, 0, 0, 0, 41, 0, 0, 0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, info []byte, v4 bool) {
		sender := netip.IPv6LinkLocalAllNodes()
		if v4 {
			sender = netip.MustParseAddr("::ffff:192.0.2.1")
		}
		to, answer := readInfo(info, sender)
		if len(answer) > 0 && (!to.IsValid() || v4 != to.Is4()) {
			t.Errorf("address %v, answer %v", to, answer)
		}
	})
}
