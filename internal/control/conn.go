package control

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Connection is all that is known of one client that is connected.
type Connection struct {
	Client
	StageFor float64    `json:"stage_seconds"` // how long it has been in its stage
	Lane     string     `json:"lane"`          // hello wait, turn, parked, or goroutine
	Waits    string     `json:"waits_for"`     // in words; "" is not known
	Times    []Passed   `json:"times"`         // the parts of its way that were noted
	Ends     []Deadline `json:"deadlines"`     // the nearest first
	Network  string     `json:"network"`       // that limits by source count it under
	Counts   []Counted  `json:"limits"`        // that it counts against
	Via      string     `json:"via"`           // who sent the PROXY header that names its address
	Identity string     `json:"identity"`      // its certificate, or the user of a UNIX socket
	Verdict  string     `json:"verdict"`       // why it may be here, with a certificate
	Facts    *TLSFacts  `json:"tls_facts"`     // nil before the end of its handshake, and without TLS
	JA4      string     `json:"ja4"`           // where it is noted
	Route    string     `json:"route"`
	Backend  string     `json:"backend"`
	Target   string     `json:"target"`
	Child    *int       `json:"child_pid"` // of the program that serves it
	Notes    []Note     `json:"notes"`     // what its handler has noted for its record, route and others among them
}

// A Passed is when a client came to a part of its way.
type Passed struct {
	Part  string  `json:"part"`
	After float64 `json:"after_seconds"` // accept
}

// A Deadline is when something ends a client unless it does what is waited for.
type Deadline struct {
	Key  string  `json:"key"` // that says so; "" is its handler
	Why  string  `json:"why"` // "" if the key says it
	Left float64 `json:"left_seconds"`
}

// A Counted is a limit that a client counts against, and how much of it is used.
type Counted struct {
	Key   string  `json:"key"`
	Port  bool    `json:"port"` // of the port, beside that of the server
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	Use   float64 `json:"use"`
}

// TLSFacts are what a handshake came to.
type TLSFacts struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher"`
	Group   string `json:"group"`
	ALPN    string `json:"alpn"`
	Resumed bool   `json:"resumed"`
}

// A Note is a name and a value.
type Note struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Text writes all of it in readable form, a fact a line.
func (c *Connection) Text(w io.Writer) {
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "%-12s %s\n", name, Clean(text))
		}
	}
	line("id", fmt.Sprintf("%s, process %d", c.ID, c.PID))
	line("port", c.Port)
	line("peer", strings.TrimSpace(c.Peer+" "+c.PeerName))
	line("via", c.Via)
	line("identity", c.Identity)
	line("verdict", c.Verdict)
	line("stage", fmt.Sprintf("%s for %s; connected for %s, since %s", c.Stage, seconds(c.StageFor), seconds(c.Connected), c.Since.Format(time.RFC3339)))
	line("doing", c.Doing)
	line("lane", c.Lane)
	line("waits for", c.Waits)
	var list []string
	for _, t := range c.Times {
		list = append(list, fmt.Sprintf("%s %s", t.Part, time.Duration(t.After*float64(time.Second)).Round(time.Microsecond)))
	}
	line("times", strings.Join(list, ", "))
	for _, d := range c.Ends {
		line("ends", fmt.Sprintf("in %s by %s", seconds(max(d.Left, 0)), cmp.Or(d.Key, d.Why)))
	}
	line("bytes", fmt.Sprintf("in %d, out %d, none for %s", c.In, c.Out, known(c.Idle, seconds)))
	line("network", c.Network)
	for _, m := range c.Counts {
		of := ""
		if m.Port {
			of = " of the port"
		}
		line("limit", fmt.Sprintf("%s%s: %s of %s %s", m.Key, of, plainNumber(m.Use), plainNumber(m.Value), m.Unit))
	}
	if t := c.Facts; t != nil {
		text := strings.Join(slices.DeleteFunc([]string{t.Version, t.Cipher, t.Group}, func(s string) bool { return s == "" }), ", ")
		if t.Resumed {
			text += ", resumed"
		}
		line("tls", text)
		line("alpn", t.ALPN)
	}
	line("server name", c.ServerName)
	line("ja4", c.JA4)
	line("route", c.Route)
	line("backend", c.Backend)
	line("target", c.Target)
	if c.Child != nil {
		line("child", "process "+strconv.Itoa(*c.Child))
	}
	for _, n := range c.Notes {
		line("note", n.Name+"="+n.Value)
	}
}
