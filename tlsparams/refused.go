package tlsparams

// refusedKeys are the original's parameters that texts cannot give, with the
// reason and the nearest thing that works. The text follows the key's name.
func refusedKeys() map[string]string {
	const (
		code       = "is a function and can be given in code only, as Server.TLS.Hooks."
		clientOnly = "is for TLS clients and means nothing on a server; remove it"
		noCache    = "is not possible with Go's crypto/tls, which has no session cache; tickets resume sessions instead; remove it"
		noDH       = "is not possible with Go's crypto/tls, which has no finite-field DH suites; ECDHE works without a file, groups are set with SSL_ecdh_curve"
	)
	return map[string]string{
		"SSL_verify_callback":     code + "Verify",
		"SSL_ticket_keycb":        code + "TicketKey; name a file with SSL_ticket_key_file",
		"SSL_passwd_cb":           code + "Password; name a file with SSL_passwd_file or a program with SSL_passwd_command",
		"SSL_passwd":              "is not supported, as passwords do not belong on command lines; name a file with SSL_passwd_file or a program with SSL_passwd_command",
		"SSL_create_ctx_callback": code + "Config",
		"SSL_error_trap":          "is a function and can be given in code only, as Server.Hooks.HandshakeFailed",
		"SSL_error_callback":      "is a function and can be given in code only, as Server.Hooks.HandshakeFailed",
		"SSL_cert":                "holds objects and can be given in code only, as Server.TLS.Certificates; name a file with SSL_cert_file",
		"SSL_key":                 "holds an object and can be given in code only, as Server.TLS.Certificates; name a file with SSL_key_file",
		"SSL_ca":                  "holds objects and can be given in code only, as Server.TLS.ClientCAs; name a file with SSL_ca_file",
		"SSL_client_ca":           "holds objects; name a file with SSL_client_ca_file",
		"SSL_dh_file":             noDH,
		"SSL_dh":                  noDH,
		"SSL_npn_protocols":       "is not possible with Go's crypto/tls: NPN is gone; use its successor SSL_alpn_protocols",
		"SSL_session_cache":       noCache,
		"SSL_session_cache_size":  noCache,
		"SSL_session_key":         noCache,
		"SSL_psk":                 "is not possible with Go's crypto/tls, which has no pre-shared keys; ask for client certificates with SSL_verify_mode",
		"SSL_reuse_ctx":           "shares a context between sockets, which code does here by using one Source for several ports",
		"SSL_on_peer_shutdown":    "is a function; a handler sees the peer's close_notify as io.EOF",
		"SSL_keepSocketOnError":   "keeps a socket open for code to use after a failed handshake, which only code can do, in Server.Hooks.HandshakeFailed",
		"SSL_usebio":              "is a detail of Perl's TLS over TLS; remove it",

		"SSL_no_shutdown":   "is an argument of close, not a parameter: close_notify is sent always, but after an alert; remove it",
		"SSL_fast_shutdown": "is an argument of close, not a parameter: closing never waits for the client's close_notify; remove it",

		"SSL_hostname":              clientOnly,
		"SSL_verifycn_scheme":       clientOnly,
		"SSL_verifycn_name":         clientOnly,
		"SSL_verifycn_publicsuffix": clientOnly,
		"SSL_ocsp_mode":             clientOnly,
		"SSL_ocsp_cache":            clientOnly,
		"SSL_ocsp_staple_callback":  clientOnly,
	}
}
