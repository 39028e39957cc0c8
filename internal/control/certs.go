package control

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"
)

// Certs are the certificates that are served, in several parts, in the order of
// the configuration.
type Certs struct {
	Certificates []Certificate `json:"certificates"`
	Silent       []Silent      `json:"silent"`
}

// A Certificate is one that is served, without its key.
type Certificate struct {
	Ports       []string   `json:"ports"`
	File        string     `json:"file"`  // "" for one made in memory
	Names       []string   `json:"names"` // DNS names and addresses, 100 at most
	Serial      string     `json:"serial"`
	Issuer      string     `json:"issuer"`
	Key         string     `json:"key"` // its kind
	NotBefore   time.Time  `json:"not_before"`
	NotAfter    time.Time  `json:"not_after"`
	ChainEnd    time.Time  `json:"chain_not_after"` // the first of the chain that ends
	DaysLeft    float64    `json:"days_left"`       // until that; negative: it has ended
	Since       *time.Time `json:"since"`           // it is served
	LastError   string     `json:"last_error"`      // why newer contents of the file are not served
	LastErrorAt *time.Time `json:"last_error_at"`
	ACME        bool       `json:"acme"`           // ordered by the server itself
	Challenge   string     `json:"acme_challenge"` // by which, if so; else ""
}

// Add puts a further part of the answer to those before.
func (c *Certs) Add(part Certs) {
	c.Certificates = append(c.Certificates, part.Certificates...)
	c.Silent = append(c.Silent, part.Silent...)
}

// Text writes the certificates in readable form.
func (c *Certs) Text(w io.Writer) {
	var rows [][]string
	for i := range c.Certificates {
		x := &c.Certificates[i]
		names := strings.Join(x.Names[:min(len(x.Names), 3)], " ")
		if n := len(x.Names) - 3; n > 0 {
			names += fmt.Sprintf(" and %d more", n)
		}
		rows = append(rows, []string{fmt.Sprintf("%.1f", x.DaysLeft), x.ChainEnd.UTC().Format(time.DateTime), names, x.Key, x.Issuer,
			strings.Join(x.Ports, " "), x.Challenge, cmp.Or(x.File, "in memory"), x.LastError})
	}
	table(w, "DAYS ENDS NAMES KEY ISSUER PORTS ACME FILE ERROR", rows)
	silentText(w, c.Silent)
}
