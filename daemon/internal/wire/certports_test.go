package wire

import (
	"slices"
	"testing"
)

// A process that serves alone may be asked for certificates before it has ports.
func TestCertificatesBeforeThereArePorts(t *testing.T) {
	a := Answer{Certs: []Cert{{Places: []int{0, 2}}}}
	a.NameCerts(nil, nil)
	if got := a.Certs[0].Ports; got == nil || len(got) > 0 {
		t.Errorf("the certificate is of the ports %q", got)
	}
	a.NameCerts([]string{"one", "two", "three"}, nil)
	if got := a.Certs[0].Ports; !slices.Equal(got, []string{"one", "three"}) {
		t.Errorf("the certificate is of the ports %q", got)
	}
}

// Nor has what it explains.
func TestExplanationBeforeThereArePorts(t *testing.T) {
	a := Answer{Explained: []Explained{{Place: 1}}}
	a.NamePorts(nil)
	if a.Explained[0].Refused == nil {
		t.Errorf("%+v", a.Explained[0])
	}
	a.NamePorts([]string{"one", "two"})
	if got := a.Explained[0].Port; got != "two" {
		t.Errorf("port %q", got)
	}
}
