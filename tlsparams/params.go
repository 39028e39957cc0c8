package tlsparams

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"netserver/conf"
)

// Params holds the SSL_ parameters of a port, or of all ports that do not give
// their own. It holds values only, functions are in Hooks; a zero field means
// the default. Params is copied freely and is not changed by its methods.
type Params struct {
	CertFile  string            // SSL_cert_file: PEM, DER or PKCS#12, the server's certificate first; or "self-signed"
	KeyFile   string            // SSL_key_file; "" means that CertFile holds the key
	CertFiles map[string]string // SSL_cert_file per SNI name, "*.name" or "name%ecc" (a further key type)
	KeyFiles  map[string]string // SSL_key_file for those
	CertDir   string            // SSL_cert_dir: every certificate in it serves the names it is made for

	PasswdFile    string // SSL_passwd_file: its first line is the password of encrypted keys
	PasswdCommand string // SSL_passwd_command: a program and its arguments, no shell; prints the password

	Version      string            // SSL_version, such as "TLSv1_3" or "SSLv23:!TLSv1:!TLSv1_1"; "" means TLS 1.2 and 1.3
	CipherList   string            // SSL_cipher_list for TLS 1.2 and older; "" means ECDHE with AES-GCM or ChaCha20, with TLS 1.0 or 1.1 also AES-CBC
	CipherLists  map[string]string // SSL_cipher_list per SNI name
	Ciphersuites string            // SSL_ciphersuites for TLS 1.3: must name all three
	Curves       string            // SSL_ecdh_curve, such as "X25519MLKEM768:X25519:P-256"; "" and "auto" mean crypto/tls's
	ClientOrder  bool              // SSL_honor_cipher_order 0: the client's order of suites decides
	ALPN         []string          // SSL_alpn_protocols; the client's first choice among them wins

	UnknownSNI string // SSL_unknown_sni: "" or "default", "refuse": names that no certificate is for get the alert unrecognized_name

	Client                    // who may come in by certificate
	Clients map[string]Client // the same per SNI name; what is not set there is as in Client

	SessionIDContext string        // SSL_session_id_context: ports and machines with the same one and the same keys share tickets; "" means the port
	TicketKeyFiles   []string      // SSL_ticket_key_file; none: keys of its own
	TicketLife       time.Duration // SSL_ticket_life: how long a ticket resumes; 0 means a day, negative none
	StapleFile       string        // SSL_ocsp_staple_file: OCSP response in DER for the default certificate
	Staple           bool          // SSL_ocsp_staple: fetch and refresh OCSP responses for the certificates

	StartPlain bool // SSL_startHandshake 0: the handler starts TLS later
	// UnexpectedEOF is what a FIN without close_notify is: "end" (the
	// default), as on TCP, or "reset", a failure that a backend or a program
	// is told of.
	UnexpectedEOF string
	MaxLine       int // SSL_max_getline_length: longest line in bytes; 0 means the engine's limit

	origins map[string]conf.Origin // of values that With took from texts
}

// ForceSelfSigned is the SSL_cert_file that asks for a certificate made in
// memory.
const ForceSelfSigned = "self-signed"

// With returns p with the SSL_ keys of v laid over it: a key that v has
// replaces all that p had for it. Keys without the prefix SSL_ are not looked
// at. The error joins an *Error for each key that is unknown, is not possible
// or has a malformed value.
func (p Params) With(v conf.Values) (Params, error) {
	p.origins = maps.Clone(p.origins)
	if p.origins == nil {
		p.origins = make(map[string]conf.Origin)
	}
	p.Clients = maps.Clone(p.Clients)
	known := keyTable()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(v)) {
		vals := v[name]
		if !strings.HasPrefix(name, "SSL_") || len(vals) == 0 {
			continue
		}
		last := vals[len(vals)-1]
		k, ok := known[name]
		reason := ""
		switch {
		case !ok:
			reason = unknownKey(name, known)
		case k.refused != "":
			reason = k.refused
		default:
			reason = k.assign(&p, vals)
		}
		if reason != "" {
			e := &Error{Key: name, Reason: reason, Origin: last.Origin}
			if ok && k.refused == "" && !k.Secret {
				e.Value = last.Text
			}
			errs = append(errs, e)
			continue
		}
		p.origins[name] = last.Origin
	}
	return p, errors.Join(errs...)
}

// LogValue names the keys that were given by text, and no values: some are
// commands with arguments, and files tell where secrets are.
func (p Params) LogValue() slog.Value {
	return slog.StringValue("SSL parameters: " + strings.Join(slices.Sorted(maps.Keys(p.origins)), " "))
}

// fail makes an *Error about a parameter of p.
func (p *Params) fail(where, key, value, reason string, cause error) *Error {
	return &Error{Where: where, Key: key, Value: value, Reason: reason, Origin: p.origins[key], Err: cause}
}

// assign checks that the values fit the kind of key and hands them on.
func (k *keyDef) assign(p *Params, vals []conf.Value) string {
	for _, v := range vals {
		if v.Name == "" {
			continue
		}
		if !k.Map {
			return fmt.Sprintf("takes no names, but has a value for %q", v.Name)
		}
		if reason := checkName(v.Name, k.Name); reason != "" {
			return reason
		}
	}
	return k.set(p, vals)
}
