package proto

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"testing"

	"netserver/tlsparams"
)

func TestAlertForADeniedClient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want uint8
	}{
		{fmt.Errorf("denied: %w", tlsparams.ErrRevoked), 44},
		{fmt.Errorf("denied: %w", x509.UnknownAuthorityError{}), 48},
		{fmt.Errorf("denied: %w", x509.CertificateInvalidError{Reason: x509.Expired}), 45},
		{fmt.Errorf("denied: %w", x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}), 43},
		{fmt.Errorf("denied: %w", x509.CertificateInvalidError{Reason: x509.NameMismatch}), 42},
		{fmt.Errorf("denied: %w", x509.CertificateInvalidError{Reason: x509.TooManyIntermediates}), 42},
		{&tlsparams.Denied{}, 49},
		{&tlsparams.Denied{Err: fmt.Errorf("something else")}, 42},
		{fmt.Errorf("something else"), 42},
	} {
		if got := alertFor(c.err); got != c.want {
			t.Errorf("%v: alert %d, want %d", c.err, got, c.want)
		}
	}
}

// Only an alert that is the last whole record of a write is held back.
func TestWhichWritesEndWithBadCertificate(t *testing.T) {
	alert := []byte{21, 3, 3, 0, 2, 2, 42}
	hello := []byte{22, 3, 3, 0, 3, 1, 2, 3}
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"alone":                     {alert, true},
		"behind a record":           {bytes.Join([][]byte{hello, alert}, nil), true},
		"behind two":                {bytes.Join([][]byte{hello, hello, alert}, nil), true},
		"behind itself":             {bytes.Join([][]byte{alert, alert}, nil), true},
		"another alert":             {[]byte{21, 3, 3, 0, 2, 2, 43}, false},
		"a warning":                 {[]byte{21, 3, 3, 0, 2, 1, 42}, false},
		"cut":                       {alert[:6], false},
		"inside a record":           {append([]byte{23, 3, 3, 0, 8, 0}, alert...), false},
		"behind what is no record":  {append([]byte{23, 3}, alert...), false},
		"behind an unfinished one":  {append([]byte{23, 3, 3, 0, 9, 0}, alert...), false},
		"followed by another":       {bytes.Join([][]byte{alert, hello}, nil), false},
		"nothing":                   {nil, false},
		"before the end of another": {append([]byte{23, 3, 3, 0, 1}, alert...), false},
	} {
		if got := endsWithBadCertificate(c.b); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
