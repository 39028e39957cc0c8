package starttls

import (
	"errors"
	"fmt"
	"strings"
)

// A Protocol is one whose clients begin in plain text and can start TLS.
type Protocol uint8

// The protocols. The zero Protocol is none.
const (
	_          Protocol = iota
	SMTP                // RFC 3207
	IMAP                // RFC 9051
	POP3                // STLS of RFC 2595
	NNTP                // RFC 4642
	Sieve               // ManageSieve, RFC 5804
	IRC                 // STARTTLS with the numerics 670 and 691
	XMPP                // RFC 6120
	LDAP                // the extended operation of RFC 4511
	PostgreSQL          // SSLRequest, and TLS at once with the ALPN name postgresql
	MySQL               // SSLRequest within the handshake, of MariaDB too
)

var names = [...]string{
	SMTP: "smtp", IMAP: "imap", POP3: "pop3", NNTP: "nntp", Sieve: "sieve", IRC: "irc",
	XMPP: "xmpp", LDAP: "ldap", PostgreSQL: "postgres", MySQL: "mysql",
}

// Names returns the names of the protocols, as Parse reads them.
func Names() []string { return append([]string(nil), names[1:]...) }

// String returns the protocol's name.
func (p Protocol) String() string {
	if p == 0 || int(p) >= len(names) {
		return fmt.Sprintf("Protocol(%d)", uint8(p))
	}
	return names[p]
}

var errFTP = errors.New("ftp cannot be had: AUTH TLS protects its control connection alone, and a proxy that decrypts that would have to open and protect each data connection too")

// Parse returns the protocol of a name, in any case. postgresql, mariadb and
// managesieve are names as well. The error of ftp says why it cannot be had.
func Parse(name string) (Protocol, error) {
	lower := strings.ToLower(name)
	switch lower {
	case "postgresql":
		return PostgreSQL, nil
	case "mariadb":
		return MySQL, nil
	case "managesieve":
		return Sieve, nil
	case "ftp":
		return 0, errFTP
	}
	for i, n := range names {
		if i > 0 && n == lower {
			return Protocol(i), nil
		}
	}
	return 0, fmt.Errorf("%q is not a protocol with STARTTLS: there are %s", name, strings.Join(names[1:], ", "))
}
