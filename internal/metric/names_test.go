package metric

import (
	"crypto/tls"
	"slices"
	"testing"
)

func TestSuiteName(t *testing.T) {
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites(), []*tls.CipherSuite{{ID: 0x1234}}) {
		if got, want := SuiteName(s.ID), tls.CipherSuiteName(s.ID); got != want {
			t.Errorf("%x is %s, not %s", s.ID, got, want)
		}
	}
}
