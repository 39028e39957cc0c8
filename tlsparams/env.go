package tlsparams

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"netserver/port"
)

// Env is what a Source needs beside the parameters. The zero Env works.
type Env struct {
	Where        string                              // the port, for messages: "port 443/ssl"
	Loopback     bool                                // every TLS port is bound to loopback: a self-signed certificate will do
	SelfSigned   *Certificate                        // the one to use where one is wanted; nil makes a new one
	Certificates map[string]*tls.Certificate         // SSL_cert and SSL_key: certificates from code, named as Params.CertFiles; "" is the default
	ClientCAs    *x509.CertPool                      // SSL_ca: authorities from code, where no SSL_ca_file or SSL_ca_path is given
	TLSConfig    *tls.Config                         // the program's own configuration, see netserver.Server.TLSConfig; parameters go before it
	TicketSecret []byte                              // shared by the processes of one server: ticket keys are made from it; nil: each process its own
	TicketPlace  string                              // the port, for tickets of Clustered: the same on all machines
	Clustered    bool                                // TicketSecret is other machines' too: where SSL_session_id_context says nothing, tickets are tied to TicketPlace, not to Where
	ReadFile     func(file string) ([]byte, error)   // instead of reading from disk, for processes that may not
	ReadDir      func(dir string) ([]Entry, error)   // the same for directories
	Pair         PairFunc                            // instead of reading certificates with their keys, for processes that are to have no keys
	SignOnly     bool                                // keys sign and can do nothing else, as those of Pair: suites with RSA key exchange are left out
	HTTP         *http.Client                        // for OCSP; nil: a client that waits 5 seconds at most
	Staples      StapleShare                         // OCSP responses that other servers with the same certificates have fetched for SSL_ocsp_staple; nil: none
	Poll         time.Duration                       // how often Run looks at each file, beside following them; 0: 30 s, negative: never
	Unfollowed   bool                                // Run does not follow the files: who may read them calls Reload
	Log          *slog.Logger                        // for what happens while Run follows the files; nil: nothing is logged
	Now          func() time.Time                    // time.Now if nil
	ForPort      func(p port.Spec, env *Env)         // changes what one port has of all this: env is a copy for it, in which Where and Loopback stay; nil changes nothing
	NextProtos   func(*tls.ClientHelloInfo) []string // what a client that names protocols may choose from, where neither SSL_alpn_protocols nor TLSConfig says it; nil: nothing
	Hooks        Hooks                               // functions; nil ones are skipped
}

// A StapleShare is where servers that have the same certificates leave the OCSP
// responses that they have fetched for them. Its methods may be called at the
// same time.
type StapleShare interface {
	// Get returns the response that is there for the certificate with this
	// SHA-256 digest; nil for none. It is judged as one that was fetched.
	Get(ctx context.Context, leaf [32]byte) []byte
	// Put takes one that was fetched. It does not keep response.
	Put(leaf [32]byte, response []byte)
}

// Hooks are the parameters that are functions. They are called concurrently.
type Hooks struct {
	// Password returns the password for an encrypted file (SSL_passwd_cb). It
	// goes before SSL_passwd_file and SSL_passwd_command. The result is
	// overwritten after use.
	Password func(file string) ([]byte, error)
	// Verify gets the verdict on a client's chain and pins, nil for good, and
	// replaces it with its own (SSL_verify_callback). Allow lists come after.
	Verify func(state *tls.ConnectionState, chains [][]*x509.Certificate, verdict error) error
	// TicketKey finds ticket keys (SSL_ticket_keycb): without a name it
	// returns the current key, 32 bytes, and its name, 16 bytes; with one,
	// the key of that name, nil if there is none, and the current one's name.
	TicketKey func(name []byte) (key, current []byte, err error)
	// Config may change each configuration before it is used
	// (SSL_create_ctx_callback).
	Config func(*tls.Config)
}

func (e *Env) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// port is Where without its first word, for log attributes.
func (e *Env) port() string { return strings.TrimPrefix(e.Where, "port ") }

func (e *Env) log() *slog.Logger {
	if e.Log != nil {
		return e.Log
	}
	return slog.New(slog.DiscardHandler)
}
