package tlsparams

import (
	"netserver/conf"
	"netserver/tlsparams/internal/protocol"
	"netserver/tlsparams/internal/trust"
)

// handledKeys lists the keys that texts can give.
func handledKeys() []keyDef {
	list := append(certKeys(), protocolKeys()...)
	list = append(list, clientKeys()...)
	list = append(list, revocationKeys()...)
	list = append(list, allowKeys()...)
	return append(list, otherKeys()...)
}

func def(name, arg, help string, set setter) keyDef {
	return keyDef{KeyInfo: KeyInfo{Name: name, Arg: arg, Help: help}, set: set}
}

func (k keyDef) list() keyDef   { k.List = true; return k }
func (k keyDef) perSNI() keyDef { k.Map = true; return k }
func (k keyDef) secret() keyDef { k.Secret = true; return k }

func certKeys() []keyDef {
	return []keyDef{
		def("SSL_cert_file", "FILE", "certificate and its chain, the server's own first, in PEM, DER or PKCS#12; self-signed generates one in memory",
			setNamed(func(p *Params) *string { return &p.CertFile }, func(p *Params) *map[string]string { return &p.CertFiles })).perSNI(),
		def("SSL_key_file", "FILE", "private key; without it the certificate file holds the key",
			setNamed(func(p *Params) *string { return &p.KeyFile }, func(p *Params) *map[string]string { return &p.KeyFiles })).perSNI(),
		def("SSL_cert_dir", "DIRECTORY", "serve every certificate in a directory for the names it covers",
			setText(func(p *Params) *string { return &p.CertDir })),
		def("SSL_unknown_sni", "default|refuse", "what a client gets that asks for a name no certificate covers: the default certificate, or the alert unrecognized_name",
			setChecked(func(p *Params) *string { return &p.UnknownSNI }, checkUnknownSNI)),
		def("SSL_passwd_file", "FILE", "file whose first line is the password of encrypted keys",
			setText(func(p *Params) *string { return &p.PasswdFile })),
		def("SSL_passwd_command", "COMMAND", "program with arguments, run without a shell, that prints the password of encrypted keys",
			setText(func(p *Params) *string { return &p.PasswdCommand })).secret(),
		def("SSL_ocsp_staple", "BOOL", "fetch OCSP responses for the certificates, refresh them and send them to clients",
			setBool(func(p *Params) *bool { return &p.Staple })),
		def("SSL_ocsp_staple_file", "FILE", "OCSP response in DER to send with the default certificate",
			setText(func(p *Params) *string { return &p.StapleFile })),
	}
}

func protocolKeys() []keyDef {
	return []keyDef{
		def("SSL_version", "VERSIONS", "TLS versions, such as TLSv1_3 or SSLv23:!TLSv1:!TLSv1_1 (default: 1.2 and 1.3)",
			setChecked(func(p *Params) *string { return &p.Version }, func(t string) string { _, r := protocol.ParseVersions(t); return r })),
		def("SSL_cipher_list", "LIST", "suites for TLS 1.2 and older, as OpenSSL's cipher strings (default: ECDHE with AES-GCM or ChaCha20)",
			setNamed(func(p *Params) *string { return &p.CipherList }, func(p *Params) *map[string]string { return &p.CipherLists })).perSNI(),
		def("SSL_ciphersuites", "LIST", "suites for TLS 1.3; crypto/tls always has all three, so a list must name them",
			setChecked(func(p *Params) *string { return &p.Ciphersuites }, checkCiphersuites)),
		def("SSL_ecdh_curve", "GROUPS", "key exchange groups, such as X25519MLKEM768:X25519:P-256, or auto",
			setChecked(func(p *Params) *string { return &p.Curves }, func(t string) string { _, r := protocol.ParseCurves(t); return r })),
		def("SSL_honor_cipher_order", "BOOL", "the server's order of suites decides, up to TLS 1.2 (default: 1)",
			setNotBool(func(p *Params) *bool { return &p.ClientOrder })),
		def("SSL_alpn_protocols", "NAMES", "application protocols to agree on; the client's first choice among them wins; separated by commas or blanks", setALPN).list(),
	}
}

func clientKeys() []keyDef {
	return []keyDef{
		def("SSL_verify_mode", "NUMBER", "client certificates: 0 not asked for, 1 verified if sent, 3 required",
			perClient(func(c *Client) *VerifyMode { return &c.VerifyMode }, parseVerifyMode)).perSNI(),
		def("SSL_ca_file", "FILE", "authorities that sign client certificates, in PEM (default: the system's)",
			perClient(func(c *Client) *[]string { return &c.CAFiles }, lines)).list().perSNI(),
		def("SSL_ca_path", "DIRECTORIES", "directories of authorities and revocation lists, separated as in PATH",
			perClient(func(c *Client) *[]string { return &c.CAPath }, paths)).list().perSNI(),
		def("SSL_client_ca_file", "FILE", "authorities to name to clients, if not the trusted ones",
			perClient(func(c *Client) *string { return &c.ClientCAFile }, last)).perSNI(),
		def("SSL_fingerprint", "PINS", "certificates ([sha256$]HEX) or public keys ([sha256$]pub$HEX) to accept whatever their chain, separated by commas or blanks",
			perClient(func(c *Client) *[]string { return &c.Fingerprints }, parsePins)).list().perSNI(),
		def("SSL_force_fingerprint", "BOOL", "deny clients that match no SSL_fingerprint",
			perClient(func(c *Client) *bool { return &c.ForceFingerprint }, lastBool)).perSNI(),
	}
}

func revocationKeys() []keyDef {
	return []keyDef{
		def("SSL_check_crl", "0|1|chain", "look up client certificates (chain: their authorities too) in revocation lists",
			perClient(func(c *Client) *string { return &c.CheckCRL }, parseCheckCRL)).perSNI(),
		def("SSL_crl_file", "FILE", "revocation lists, full or delta, in PEM or DER",
			perClient(func(c *Client) *[]string { return &c.CRLFiles }, lines)).list().perSNI(),
		def("SSL_crl_path", "DIRECTORIES", "directories of revocation lists, separated as in PATH",
			perClient(func(c *Client) *[]string { return &c.CRLPath }, paths)).list().perSNI(),
		def("SSL_crl_policy", "closed|expired|open", "what a missing or expired list means (default: closed, which denies)",
			perClient(func(c *Client) *string { return &c.CRLPolicy }, parseCRLPolicy)).perSNI(),
		def("SSL_ocsp_check", "off|soft|hard", "ask OCSP responders about client certificates; soft lets them in without an answer",
			perClient(func(c *Client) *string { return &c.OCSP }, parseOCSP)).perSNI(),
		def("SSL_ocsp_responder", "URL", "responder to ask instead of the one that certificates name",
			perClient(func(c *Client) *string { return &c.OCSPResponder }, last)).perSNI(),
	}
}

func allowKeys() []keyDef {
	help := map[trust.Kind]string{
		trust.KindCN:    "common name to let in, one per value; a match in any allow list is enough",
		trust.KindOU:    "organizational unit to let in, one per value",
		trust.KindDNS:   "DNS names to let in, separated by commas or blanks; *.example.com is any one label",
		trust.KindEmail: "mail addresses to let in, separated by commas or blanks; @example.com is a whole domain",
		trust.KindIP:    "addresses or networks in certificates to let in, separated by commas or blanks",
		trust.KindURI:   "URI to let in, one per value, such as spiffe://example.org/ns/*/sa/web or spiffe://example.org/**",
		trust.KindSPKI:  "public keys to let in, separated by commas or blanks: sha256$pub$HEX or sha256/BASE64",
	}
	var list []keyDef
	for _, k := range trust.Kinds() {
		arg := "NAMES"
		switch k {
		case trust.KindCN, trust.KindOU:
			arg = "NAME" // which may hold commas and blanks
		case trust.KindURI:
			arg = "URI"
		}
		list = append(list, def("SSL_allow_"+string(k), arg, help[k],
			perClient(func(c *Client) *[]string { return c.allow(k) }, parseAllow(k))).list().perSNI())
	}
	return append(list, def("SSL_allow_file", "FILE", "file of allow lists, watched while the server runs: lines such as: cn ops, or: pin FINGERPRINT, which needs no valid chain",
		perClient(func(c *Client) *[]string { return &c.AllowFiles }, lines)).list().perSNI())
}

func otherKeys() []keyDef {
	return []keyDef{
		def("SSL_session_id_context", "TEXT", "ports and machines with the same text and ticket keys resume each other's sessions (default: the port)",
			setText(func(p *Params) *string { return &p.SessionIDContext })),
		def("SSL_ticket_key_file", "FILE", "keys for session tickets, shared by machines; the first of the first file encrypts",
			func(p *Params, vals []conf.Value) string { p.TicketKeyFiles = texts(vals); return "" }).list(),
		def("SSL_ticket_life", "TIME", "how long a ticket resumes a session; 0 for no tickets (default: a day)", setTicketLife),
		def("SSL_startHandshake", "BOOL", "0: connections start in plain text and the handler starts TLS (default: 1)",
			setNotBool(func(p *Params) *bool { return &p.StartPlain })),
		def("SSL_unexpected_eof", "end|reset", "what a client's FIN without close_notify is: the end of what it sends, as on TCP, or a failure, so that a backend gets a reset and a program is ended (default: end)",
			setChecked(func(p *Params) *string { return &p.UnexpectedEOF }, checkUnexpectedEOF)),
		def("SSL_max_getline_length", "BYTES", "longest line that a handler reads", setLineLength),
		def("SSL_use_cert", "BOOL", "servers always use their certificate: only 1",
			setTrue("is not possible: a server always shows its certificate; remove it")),
		def("SSL_server", "BOOL", "ports are always servers: only 1",
			setTrue("is not possible: a port is always the server; remove it")),
		def("SSL_mode_release_buffers", "BOOL", "idle connections never hold buffers: only 1",
			setTrue("is not possible: idle connections never hold buffers; remove it")),
	}
}
