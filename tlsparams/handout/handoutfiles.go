package handout

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"netserver/internal/certfile"
	"netserver/tlsparams/internal/revoke"
	"netserver/tlsparams/internal/tickets"
	"netserver/tlsparams/internal/trust"
)

// What follows gives a file back without anything that it was not named for.
// Errors say what is wrong and nothing of what is there.

// pairOnly keeps certificates and keys.
func pairOnly(data []byte) ([]byte, error) {
	blocks, err := certfile.Blocks(data)
	if err != nil {
		return nil, err
	}
	if blocks == nil {
		_, err := certfile.WithoutKeys(data)
		isKey := errors.Is(err, certfile.ErrKey) && len(data) > 0 && data[0] == 0x30
		if _, err := x509.ParseCertificate(data); err != nil && !isKey {
			return nil, errors.New("holds neither a certificate nor a private key in PEM, DER or PKCS#12 form")
		}
		return data, nil
	}
	var out bytes.Buffer
	for i := range blocks {
		b := &blocks[i]
		p := &pem.Block{Type: b.Type, Bytes: b.Bytes}
		if b.DEK != "" {
			p.Headers = map[string]string{"Proc-Type": b.ProcType, "DEK-Info": b.DEK}
		}
		if strings.HasSuffix(b.Type, "CERTIFICATE") || strings.HasSuffix(b.Type, "PRIVATE KEY") {
			pem.Encode(&out, p)
		}
	}
	return orNothing(&out), nil
}

// orNothing is a PEM file, if need be one with nothing in it that is used.
func orNothing(out *bytes.Buffer) []byte {
	if out.Len() == 0 {
		pem.Encode(out, &pem.Block{Type: "PARAMETERS", Bytes: []byte{0x30, 0}})
	}
	return out.Bytes()
}

// trustOnly keeps authorities and revocation lists.
func (h *Handout) trustOnly(path string, u use, data []byte) ([]byte, error) {
	certs, certErr := certfile.Authorities(data)
	if certErr != nil && u&asAuthorities != 0 {
		return nil, certErr
	}
	var out bytes.Buffer
	if u&asLists != 0 {
		listErr := h.checked(path, data, func() error { _, err := revoke.Split(data, true); return err })
		if _, err := x509.ParseCertificate(data); listErr != nil && err != nil {
			return nil, listErr // else it is a single certificate, with no list
		}
		if listErr == nil {
			ders, err := revoke.Split(data, false)
			if err != nil {
				return nil, err
			}
			for _, der := range ders {
				pem.Encode(&out, &pem.Block{Type: "X509 CRL", Bytes: der})
			}
		}
	}
	if u&asAuthorities != 0 {
		for _, c := range certs {
			pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
		}
	}
	return orNothing(&out), nil
}

// ticketKeysOnly keeps ticket keys.
func ticketKeysOnly(data []byte) ([]byte, error) {
	keys, err := tickets.ParseKeys(data)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, k := range keys {
		out = append(base64.StdEncoding.AppendEncode(out, k), '\n')
		clear(k)
	}
	return out, nil
}

var oidBasicOCSP = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

// stapleOnly keeps an OCSP response.
func stapleOnly(data []byte) ([]byte, error) {
	var r struct {
		Status asn1.Enumerated
		Body   struct {
			Type asn1.ObjectIdentifier
			DER  []byte
		} `asn1:"explicit,tag:0"`
	}
	rest, err := asn1.Unmarshal(data, &r)
	if err != nil || len(rest) > 0 || !r.Body.Type.Equal(oidBasicOCSP) {
		return nil, errors.New("holds no OCSP response in DER form")
	}
	return data, nil
}

// allowListOnly keeps the entries of an SSL_allow_file.
func allowListOnly(data []byte) ([]byte, error) {
	var out []byte
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if _, err := trust.AddAllowed(new(trust.Rule), []byte(line)); err != nil {
			return nil, fmt.Errorf("has no entry in line %d: one is cn, ou, dns, email, ip, uri, spki or pin, and what is allowed", i+1)
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}
