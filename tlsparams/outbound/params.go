package outbound

import (
	"fmt"
	"slices"
	"strings"

	"netserver/conf"
	"netserver/tlsparams"
	"netserver/tlsparams/internal/cipherlist"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/trust"
)

// Params say how servers are spoken to over TLS, and whom to believe to be the
// right one. They hold values only. The zero Params verify a server by the
// system's authorities and by the host of its address.
type Params struct {
	CAFiles    []string // backend_ca_file: authorities in place of the system's
	CAPath     []string // backend_ca_path: directories of such files
	CRLFiles   []string // backend_crl_file: revocation lists, one of which has to be about the server's issuer
	Unverified bool     // backend_verify 0: whoever answers is believed
	// Pins are SHA-256 digests of public keys (backend_pin), in hexadecimal or
	// base64. A server has to have one of them. Without CAFiles and CAPath its
	// key is all that counts.
	Pins []string
	// ServerName is the name that the server is asked for (backend_servername,
	// SNI): "" is the host of its address, ServerNameOfClient what the client
	// has asked for.
	ServerName string
	// VerifyName is the name, or the IP address, that the server's certificate
	// has to be for (backend_verify_name); "" is the name that it is asked for,
	// or the host of its address.
	VerifyName string

	CertFile   string // backend_cert_file: the certificate that servers are shown
	KeyFile    string // backend_key_file; "" means that CertFile holds the key
	PasswdFile string // backend_passwd_file: its first line is the password of an encrypted key

	ALPN       []string // backend_alpn: protocols that servers are offered
	Version    string   // backend_version, as SSL_version; "" is TLS 1.2 and 1.3
	CipherList string   // backend_cipher_list, as SSL_cipher_list
	Curves     string   // backend_curves, as SSL_ecdh_curve
}

// ServerNameOfClient is the ServerName that asks a server for the name that the
// client has asked for. For one that has named none, it is as if ServerName were
// not given.
const ServerNameOfClient = "client"

// Files returns parameters of a server that name the same files. What is done
// about the files of those, giving them to processes that may not read them
// themselves or signing with a key, can so be done about the files of p.
func (p Params) Files() tlsparams.Params {
	return tlsparams.Params{CertFile: p.CertFile, KeyFile: p.KeyFile, PasswdFile: p.PasswdFile, Version: p.Version,
		Client: tlsparams.Client{CAFiles: p.CAFiles, CAPath: p.CAPath, CRLFiles: p.CRLFiles}}
}

// Define defines the keys of p with def. Each has an effect where the key on,
// which turns TLS on, is set.
func (p *Params) Define(on string, def func(conf.Key, conf.Binder)) {
	key := func(name, arg, help string, b conf.Binder) {
		def(conf.Key{Name: name, Arg: arg, Help: help, When: conf.When(on)}, b)
	}
	list := func(name, arg, help string, b conf.Binder) {
		def(conf.Key{Name: name, Arg: arg, Help: help, When: conf.When(on), List: true}, b)
	}
	list("backend_ca_file", "FILE", "authorities that targets are verified by (default: the system's)", conf.Strings(&p.CAFiles))
	list("backend_ca_path", "DIR", "directories of such files", conf.Func(func(vals []conf.Value) error {
		p.CAPath = nil
		for _, v := range vals {
			p.CAPath = append(p.CAPath, splitPathList(v.Text)...)
		}
		return nil
	}))
	list("backend_crl_file", "FILE", "revocation lists of these authorities, for the certificates of targets", conf.Strings(&p.CRLFiles))
	def(conf.Key{Name: "backend_verify", Arg: "0|1", Default: "1", Help: "verify the certificates of targets; with 0 whoever answers is believed", When: conf.When(on)},
		conf.Func(func(vals []conf.Value) error {
			verify, err := conf.ParseBool(vals[len(vals)-1])
			p.Unverified = !verify
			return err
		}))
	list("backend_pin", "PIN", "SHA-256 of the public key that a target has to have, in hexadecimal or base64; any of several. With no backend_ca_file beside it the key alone counts", conf.Func(func(vals []conf.Value) error {
		p.Pins = nil
		for _, v := range vals {
			if err := new(trust.Allow).Add(trust.KindSPKI, v.Text); err != nil {
				return v.Errorf("%v", err)
			}
			p.Pins = append(p.Pins, strings.TrimSpace(v.Text))
		}
		return nil
	}))
	key("backend_servername", "NAME|client", "the name that targets are asked for (SNI), or the one that the client has asked for (default: the target's host)", conf.String(&p.ServerName))
	key("backend_verify_name", "NAME", "name or IP address that the certificates of targets have to be for (default: the name they are asked for, or the target's host)", conf.String(&p.VerifyName))
	key("backend_cert_file", "FILE", "certificate that targets are shown; a renewed one is used at once", conf.String(&p.CertFile))
	key("backend_key_file", "FILE", "its private key, unless backend_cert_file holds it", conf.String(&p.KeyFile))
	key("backend_passwd_file", "FILE", "its first line is the password of that key", conf.String(&p.PasswdFile))
	list("backend_alpn", "PROTOCOL", "protocols that targets are offered (ALPN)", conf.Func(func(vals []conf.Value) error {
		p.ALPN = nil
		for _, v := range vals {
			p.ALPN = append(p.ALPN, strings.FieldsFunc(v.Text, func(r rune) bool { return r == ',' || r == ' ' })...)
		}
		return wrong(vals, protocol.CheckALPN(p.ALPN))
	}))
	key("backend_version", "VERSIONS", "versions of TLS, as SSL_version has them (default: TLS 1.2 and 1.3)", checked(&p.Version, func(text string) string {
		_, reason := versions(text)
		return reason
	}))
	key("backend_cipher_list", "LIST", "suites for TLS 1.2 and older, as SSL_cipher_list has them", checked(&p.CipherList, func(text string) string {
		if _, err := cipherlist.Parse(text); err != nil {
			return err.Error()
		}
		return ""
	}))
	key("backend_curves", "LIST", "groups for the key exchange, as SSL_ecdh_curve has them", checked(&p.Curves, func(text string) string {
		_, reason := protocol.ParseCurves(text)
		return reason
	}))
}

// checked binds a text that check finds no fault with.
func checked(to *string, check func(string) string) conf.Binder {
	return conf.Func(func(vals []conf.Value) error {
		*to = strings.TrimSpace(vals[len(vals)-1].Text)
		return wrong(vals, check(*to))
	})
}

func wrong(vals []conf.Value, reason string) error {
	if reason == "" {
		return nil
	}
	return vals[len(vals)-1].Errorf("%s", reason)
}

// versions parses the versions, which must have no hole.
func versions(text string) (protocol.Versions, string) {
	v, reason := protocol.ParseVersions(text)
	if reason == "" && v.Hole() {
		reason = "leaves out a version between others, which a client cannot offer"
	}
	return v, reason
}

// verifies reports whether a server has to have a certificate of an authority.
func (p *Params) verifies() bool {
	return !p.Unverified && (len(p.Pins) == 0 || len(p.CAFiles)+len(p.CAPath) > 0)
}

// check returns what is wrong with p by itself.
func (p *Params) check() []error {
	var errs []error
	bad := func(key, reason string) {
		errs = append(errs, &conf.Problem{Key: key, Err: fmt.Errorf("%s", reason)})
	}
	switch {
	case p.CertFile == "" && p.KeyFile != "":
		bad("backend_key_file", "is given without backend_cert_file, the certificate that it belongs to")
	case p.CertFile == "" && p.PasswdFile != "":
		bad("backend_passwd_file", "is given without backend_cert_file and backend_key_file")
	}
	if p.Unverified {
		for key, given := range map[string]bool{"backend_ca_file": len(p.CAFiles) > 0, "backend_ca_path": len(p.CAPath) > 0, "backend_crl_file": len(p.CRLFiles) > 0,
			"backend_pin": len(p.Pins) > 0, "backend_verify_name": p.VerifyName != ""} {
			if given {
				bad(key, "has no effect with backend_verify 0, which believes everybody: leave one of them out")
			}
		}
	} else if !p.verifies() {
		for key, given := range map[string]bool{"backend_crl_file": len(p.CRLFiles) > 0, "backend_verify_name": p.VerifyName != ""} {
			if given {
				bad(key, "has no effect with backend_pin alone, by which only the key counts: give backend_ca_file too, or leave it out")
			}
		}
	}
	for _, f := range [][2]string{{"backend_servername", p.ServerName}, {"backend_verify_name", p.VerifyName}} {
		if f[1] != "" && !isHost(f[1]) {
			bad(f[0], fmt.Sprintf("%.100q is not the name of a host", f[1]))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errs
}
