// Package tlsparams turns Net::Server's SSL_ parameters, which are those of
// IO::Socket::SSL, into a *tls.Config, and says at start which of them cannot
// be honoured and why.
//
// Params holds the values. Params.Open loads and checks all that they name and
// returns a Source, which gives the *tls.Config for the next handshake and
// judges clients by their certificates. While Source.Run runs, changed files
// are read again: what is good is used for new handshakes, what is not leaves
// everything as it was.
//
// What differs from the original, on purpose:
//
//   - A TLS port without a certificate is an error, where the original opens it
//     and fails every client; so is every parameter that would have no effect.
//   - An empty SSL_version is the default, TLS 1.2 and 1.3, not any version.
//   - Without SSL_cipher_list, the suites before TLS 1.3 are ECDHE with
//     AES-GCM or ChaCha20, in crypto/tls's order; where SSL_version allows TLS
//     1.0 or 1.1, AES-CBC too.
//   - SSL_ciphersuites has to name all three suites of TLS 1.3: crypto/tls
//     cannot leave one out.
//   - SNI names may be wildcards, *.example.com, and rules for clients may be
//     given per name.
//   - SSL_check_crl takes "chain" to check authorities too, every list of a
//     file counts, and so do delta lists. A list counts only if the issuer of
//     the certificate has signed it.
//   - A pinned certificate (SSL_fingerprint) that a list names is refused.
//   - After a client whose chain fails, the original refuses every later one
//     that matches no pin; here clients do not depend on each other.
//   - SSL_verify_callback (Hooks.Verify) is called once for a client, with the
//     verdict on the whole chain, not once for each certificate.
//   - Tickets are tied to port, name, and the rules for clients: where one of
//     them differs there is a full handshake.
//   - A self-signed certificate, and the refusal of weak keys, of certificates
//     that are not made for servers and of chains out of order, are new.
//
// Of this module it imports conf, port, internal/certfile, internal/watch and
// its own parts below internal: cipherlist, password, protocol, revoke, sni,
// tickets and trust. Start reading at Params (params.go), Params.Open and Source
// (source.go); config.go makes the *tls.Config, reload.go replaces what has
// changed.
package tlsparams
