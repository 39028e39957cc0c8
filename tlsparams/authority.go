package tlsparams

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
)

// warnAuthorities warns of certificates whose keys have a say in more than
// this server's handshakes: a serving process uses them while it meets
// strangers.
func (s *Source) warnAuthorities() {
	for _, sl := range s.slots() {
		if reason := authority(sl.cur.Load().Leaf); reason != "" {
			s.warn(sl.key, sl.files.Cert, reason)
		}
	}
}

// logAuthority is the same for one that has come while the server runs.
func (s *Source) logAuthority(sl *slot) {
	if reason := authority(sl.cur.Load().Leaf); reason != "" {
		s.env.log().Warn(s.p.fail(s.env.Where, sl.key, sl.files.Cert, reason, nil).Error())
	}
}

// authority says what the key of a server's certificate is trusted to sign
// beside handshakes, or "" for nothing.
func authority(leaf *x509.Certificate) string {
	var what, why []string
	note := func(is bool, signs, by string) {
		if !is {
			return
		}
		if !slices.Contains(what, signs) {
			what = append(what, signs)
		}
		why = append(why, by)
	}
	note(leaf.BasicConstraintsValid && leaf.IsCA, "certificates", "CA:TRUE")
	note(leaf.KeyUsage&x509.KeyUsageCertSign != 0, "certificates", "keyCertSign")
	note(leaf.Version < 3 && string(leaf.RawIssuer) == string(leaf.RawSubject), "certificates", "self-signed and of version 1")
	note(leaf.KeyUsage&x509.KeyUsageCRLSign != 0, "revocation lists", "cRLSign")
	for _, u := range []struct {
		usage       x509.ExtKeyUsage
		signs, name string
	}{
		{x509.ExtKeyUsageOCSPSigning, "OCSP responses", "OCSPSigning"},
		{x509.ExtKeyUsageCodeSigning, "programs", "codeSigning"},
		{x509.ExtKeyUsageEmailProtection, "mail", "emailProtection"},
		{x509.ExtKeyUsageTimeStamping, "time stamps", "timeStamping"},
	} {
		note(slices.Contains(leaf.ExtKeyUsage, u.usage), u.signs, u.name)
	}
	if len(what) == 0 {
		return ""
	}
	return fmt.Sprintf("may sign %s too (%s): whoever gets hold of its key, or of a process that serves with it, may do so in its name; use one that is for servers only",
		strings.Join(what, ", "), strings.Join(why, ", "))
}
