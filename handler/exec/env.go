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
	"netserver/internal/childproc"
	"netserver/proto"
)

// maxValue bounds a variable about the client. Longer ones are omitted:
// truncated, they could be mistaken for another value.
const maxValue = 4 << 10

// perClient are the names set for each client, including those that the server
// itself may have got as another server's program. None is ever inherited, so
// that another client's variable, or that of whoever started the server, is
// not mistaken for this client's.
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

func isPerClient(name string) bool {
	return slices.Contains(perClient.names, name) || hasPrefix(name, perClient.prefixes)
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// CheckEnv returns why an entry cannot be one of Handler.Env, or nil.
func CheckEnv(entry string) error {
	name, _, set := strings.Cut(entry, "=")
	switch {
	case name == "":
		return fmt.Errorf("%q does not name a variable; write NAME or NAME=VALUE", entry)
	case strings.IndexByte(entry, 0) >= 0:
		return fmt.Errorf("%s contains a NUL byte", name)
	case !set && strings.ContainsAny(name, " \t\n,;:"):
		return fmt.Errorf("%q is not a variable name; give each variable its own entry", name)
	case isPerClient(name):
		return fmt.Errorf("%s is set for each client and cannot be given", name)
	case childproc.IsServersOwn(name):
		return fmt.Errorf("%s is for the server only and cannot be given", name)
	}
	return nil
}

// baseEnv returns the environment common to all clients: a short list of the
// server's variables, and those of Handler.Env.
func baseEnv(server, more []string) []string {
	env := childproc.ProgramEnviron(server, more)
	return slices.Clip(slices.DeleteFunc(env, func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return isPerClient(name)
	}))
}

// A vars is an environment under construction for one client.
type vars []string

// set adds a variable, unless its value is empty or not safe to pass on.
func (v *vars) set(name, value string) {
	if value != "" && printable(value) {
		*v = append(*v, name+"="+value)
	}
}

// printable reports whether s is safe in a program's hands and in its log.
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

// unix sets the variables about a UNIX client.
func (v *vars) unix(c *netserver.Conn) {
	v.set("UNIXLOCALPATH", c.LocalAddr().String())
	if h := c.ProxyHeader(); h != nil && !h.Local {
		return // the proxy connected, not the client
	}
	uid, gid, pid, err := peerCredentials(c.NetConn())
	if err != nil {
		return
	}
	v.set("UNIXREMOTEEUID", strconv.FormatUint(uint64(uid), 10))
	v.set("UNIXREMOTEEGID", strconv.FormatUint(uint64(gid), 10))
	v.set("UNIXREMOTEPID", strconv.Itoa(int(pid)))
}

// errNoCredentials says that the system does not report who connected.
var errNoCredentials = errors.ErrUnsupported

// streamSocket returns nc or the socket below it if that is a TCP or UNIX
// stream socket, or nil.
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
		case proto.Layer:
			nc = c.NetConn()
		default:
			return nil
		}
	}
	return nil
}
