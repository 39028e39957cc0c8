package exec

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"netserver"
	"netserver/access"
)

// maxValue is how long a variable that tells of a client may be. Longer ones
// are left out: cut off, they could be taken for another value.
const maxValue = 4 << 10

// perClient are the names that are set for each client, or were meant for the
// server as somebody else's program. None of them is ever inherited, so that a
// variable of another client, or of the one that started the server, is not
// taken for one of this client.
var perClient = struct{ names, prefixes []string }{
	names: []string{
		"PROTO", "REMOTE_ADDR", "REMOTE_PORT", "REMOTE_HOST", "UCSPI_ID", "TCPCONNNUM",
		"SSL_PROTOCOL", "SSL_CIPHER", "SSL_TLS_SNI", "SSL_TLS_SNI_SERVERNAME", "SSL_SESSION_RESUMED",
	},
	prefixes: []string{
		"TCPLOCAL", "TCPREMOTE", "TCP6", "SSLLOCAL", "SSLREMOTE", "UDPLOCAL", "UDPREMOTE",
		"UNIXLOCAL", "UNIXREMOTE", "SSL_CLIENT_", "SSL_PEER_CERT_",
	},
}

// serversOwn are the names by which others speak to the server itself. A
// program that read them would take itself for the server.
var serversOwn = struct{ names, prefixes []string }{
	names: []string{
		"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID", "NOTIFY_SOCKET",
		"WATCHDOG_PID", "WATCHDOG_USEC", "BOUND_SOCKETS",
	},
	prefixes: []string{"NETSERVER_"},
}

func isPerClient(name string) bool {
	return slices.Contains(perClient.names, name) || hasPrefix(name, perClient.prefixes)
}

func isServersOwn(name string) bool {
	return slices.Contains(serversOwn.names, name) || hasPrefix(name, serversOwn.prefixes)
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// checkEnv checks one of Handler.Env.
func checkEnv(kv string) error {
	name, _, ok := strings.Cut(kv, "=")
	switch {
	case !ok || name == "":
		return fmt.Errorf("%q is not KEY=VALUE", kv)
	case strings.IndexByte(kv, 0) >= 0:
		return fmt.Errorf("%s has a NUL byte in it", name)
	case isPerClient(name):
		return fmt.Errorf("%s is set for each client and cannot be given", name)
	}
	return nil
}

// baseEnv returns the environment for all clients: the server's with what it
// may not hand on taken out, and extra over it.
func baseEnv(server, extra []string) []string {
	var env []string
	at := make(map[string]int)
	put := func(name, kv string) {
		if i, ok := at[name]; ok {
			env[i] = kv
			return
		}
		at[name] = len(env)
		env = append(env, kv)
	}
	for _, kv := range server {
		name, _, _ := strings.Cut(kv, "=")
		if !isPerClient(name) && !isServersOwn(name) {
			put(name, kv)
		}
	}
	for _, kv := range extra {
		name, _, _ := strings.Cut(kv, "=")
		put(name, kv)
	}
	return slices.Clip(env)
}

// A vars is an environment being made for one client.
type vars []string

// set adds a variable, unless there is no value or none that can be passed on
// safely.
func (v *vars) set(name, value string) {
	if value != "" && printable(value) {
		*v = append(*v, name+"="+value)
	}
}

// printable reports whether a program can be trusted to keep s in one piece,
// and a reader of its log too.
func printable(s string) bool {
	return len(s) <= maxValue && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// environ returns the environment for c.
func (cmd *command) environ(c *netserver.Conn) []string {
	v := make(vars, len(cmd.env), len(cmd.env)+32)
	copy(v, cmd.env)
	v.set("UCSPI_ID", strconv.FormatUint(c.ID(), 10))
	state := c.TLS()
	switch peer := c.Peer(); {
	case state != nil:
		v.set("PROTO", "SSL")
		if peer.IP.IsValid() {
			v.internet("SSL", c.LocalAddr(), peer)
			v.internet("TCP", c.LocalAddr(), peer)
		} else {
			v.unix(c)
		}
		v.tls(state)
	case strings.HasPrefix(c.LocalAddr().Network(), "unix"):
		v.set("PROTO", "UNIX")
		v.unix(c)
	case !peer.IP.IsValid():
		v.set("PROTO", strings.ToUpper(c.LocalAddr().Network()))
	case c.Datagram():
		v.set("PROTO", "UDP")
		v.internet("UDP", c.LocalAddr(), peer)
	default:
		v.set("PROTO", "TCP")
		v.internet("TCP", c.LocalAddr(), peer)
	}
	return v
}

// internet sets the variables of an IP client, whose names begin with proto.
func (v *vars) internet(proto string, local net.Addr, peer access.Peer) {
	if here := access.PeerOf(local); here.IP.IsValid() {
		v.set(proto+"LOCALIP", here.IP.String())
		v.set(proto+"LOCALPORT", strconv.Itoa(int(here.Port)))
	}
	ip, port := peer.IP.String(), strconv.Itoa(int(peer.Port))
	v.set(proto+"REMOTEIP", ip)
	v.set(proto+"REMOTEPORT", port)
	v.set(proto+"REMOTEHOST", strings.ToLower(peer.Host))
	if proto != "SSL" { // which TCP follows
		v.set("REMOTE_ADDR", ip)
		v.set("REMOTE_PORT", port)
		v.set("REMOTE_HOST", ip)
	}
}

// unix sets the variables of a UNIX client.
func (v *vars) unix(c *netserver.Conn) {
	v.set("UNIXLOCALPATH", c.LocalAddr().String())
	if h := c.ProxyHeader(); h != nil && !h.Local {
		return // who connected is the proxy, not the client
	}
	uid, gid, pid, err := peerCredentials(c.NetConn())
	if err != nil {
		return
	}
	v.set("UNIXREMOTEEUID", strconv.FormatUint(uint64(uid), 10))
	v.set("UNIXREMOTEEGID", strconv.FormatUint(uint64(gid), 10))
	v.set("UNIXREMOTEPID", strconv.Itoa(int(pid)))
}

// errNoCredentials tells that the system does not say who connected.
var errNoCredentials = errors.ErrUnsupported

// streamSocket returns the TCP or UNIX stream socket that nc is or stands on,
// or nil.
func streamSocket(nc net.Conn) stream {
	for range 8 { // layers
		switch c := nc.(type) {
		case *net.TCPConn:
			return c
		case *net.UnixConn:
			if c.LocalAddr().Network() == "unix" {
				return c
			}
			return nil
		case interface{ NetConn() net.Conn }:
			nc = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}
