package echo

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"netserver"
	"netserver/access"
)

type command int

const (
	cmdNone command = iota
	cmdGet
	cmdDump
	cmdQuit
	cmdExit
)

// getWords is Perl's /get\s+(\w+)/ on bytes: its \s has the vertical tab.
var getWords = regexp.MustCompile(`get[\t\n\v\f\r ]+([0-9A-Za-z_]+)`)

// parse finds the command in a line: anywhere in it, lower case only, and when
// there are several the first of get, dump, quit and exit, not of the line.
func parse(line []byte) (cmd command, name string) {
	if bytes.Contains(line, []byte("get")) { // spares most lines the regexp
		if m := getWords.FindSubmatch(line); m != nil {
			return cmdGet, string(m[1])
		}
	}
	switch {
	case bytes.Contains(line, []byte("dump")):
		return cmdDump, ""
	case bytes.Contains(line, []byte("quit")):
		return cmdQuit, ""
	case bytes.Contains(line, []byte("exit")):
		return cmdExit, ""
	}
	return cmdNone, ""
}

func (h *Handler) mayControl(c *netserver.Conn) bool { return h.AllowControl || isLocal(c) }

// properties returns what get and dump show, under Net::Server's names.
func (h *Handler) properties(c *netserver.Conn) map[string]string {
	p := make(map[string]string)
	if h.Properties != nil {
		maps.Copy(p, h.Properties())
	}
	if peer := c.Peer(); peer.IP.IsValid() {
		p["peeraddr"] = peer.IP.String()
		p["peerport"] = strconv.Itoa(int(peer.Port))
		if peer.Host != "" {
			p["peerhost"] = peer.Host
		}
	}
	if local := access.PeerOf(c.LocalAddr()); local.IP.IsValid() {
		p["sockaddr"] = local.IP.String()
		p["sockport"] = strconv.Itoa(int(local.Port))
	}
	return p
}

// dump prints the properties in the shape of Perl's Data::Dumper.
func (h *Handler) dump(out *bytes.Buffer, c *netserver.Conn) {
	p := h.properties(c)
	out.WriteString("$VAR1 = bless( {\n                 'server' => {\n")
	for i, k := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			out.WriteString(",\n")
		}
		fmt.Fprintf(out, "                               %s => %s", perlQuote(k), perlQuote(p[k]))
	}
	fmt.Fprintf(out, "\n                             }\n               }, %s );\n", perlQuote(h.name()))
}

// perlQuote returns s as a single-quoted Perl string.
func perlQuote(s string) string {
	b := []byte{'\''}
	for i := range len(s) {
		if s[i] == '\'' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return string(append(b, '\''))
}
