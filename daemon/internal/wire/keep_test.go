package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"netserver/cluster"
)

// What the cluster process answers goes up to a bound and not beyond.
func TestBoundsOfWhatIsKept(t *testing.T) {
	kept := func(inside string) string { return `{"Op":"kept","ID":1,"Kept":{` + inside + `}}` }
	data := func(n int) string { b, _ := json.Marshal(make([]byte, n)); return string(b) }
	large := `{"Key":"a","Data":` + data(cluster.MaxValue) + `}`
	for _, c := range []struct {
		from       Sender
		text, want string
	}{
		{FromWorker, `{"Op":"staple","ID":1,"Have":` + data(32) + `}`, ""},
		{FromWorker, `{"Op":"staple","ID":1,"Have":` + data(32) + `,"Data":` + data(MaxStaple) + `}`, ""},
		{FromWorker, `{"Op":"staple","ID":1,"Have":` + data(32) + `,"Data":` + data(MaxStaple+1) + `}`, "a response of"},
		{FromWorker, `{"Op":"staple","ID":1,"Have":` + data(31) + `}`, "a digest of"},
		{FromWorker, `{"Op":"staple"}`, "a digest of"},
		{FromJob, `{"Op":"staple","Have":` + data(32) + `}`, "may not"},
		{FromCluster, `{"Op":"staple","Have":` + data(32) + `}`, "may not"},
		{FromWorker, kept(``), "may not"},
		{FromAdmin, kept(``), "may not"},
		{FromCluster, `{"Op":"kept"}`, "it is empty"},
		{FromCluster, `{"Op":"keep","Keep":{"Verb":"get"}}`, "unknown"},
		{FromCluster, kept(``), ""},
		{FromCluster, kept(`"Data":` + data(cluster.MaxValue)), ""},
		{FromCluster, kept(`"Data":` + data(cluster.MaxValue+1)), "too large"},
		{FromCluster, kept(`"Failed":"` + strings.Repeat("x", maxCountName+1) + `"`), "kind of error"},
		{FromCluster, kept(`"Failed":"\u001b[2J"`), "kind of error"},
		{FromCluster, kept(`"Events":` + times(MaxKeptEvents, `{"Key":"a/b"}`)), ""},
		{FromCluster, kept(`"Events":` + times(MaxKeptEvents+1, `{"Key":"a/b"}`)), "events"},
		{FromCluster, kept(`"Events":` + times(MaxKeptBytes/cluster.MaxValue+1, large)), ""},
		{FromCluster, kept(`"Events":` + times(MaxKeptBytes/cluster.MaxValue+2, large)), "bytes of events"},
		{FromCluster, kept(`"Events":[{"Key":"a","Data":` + data(cluster.MaxValue+1) + `}]`), "a value of"},
		{FromCluster, kept(`"Events":[{"Key":"../a"}]`), "key"},
		{FromCluster, kept(`"Events":[{"Key":"\u001b[2J"}]`), "key"},
		{FromCluster, kept(`"Events":[{"Key":"` + strings.Repeat("x", cluster.MaxKey+1) + `"}]`), "key"},
		{FromCluster, kept(`"Events":[{}]`), "key"},
		{FromCluster, kept(`"Events":[{"Synced":true,"Key":"../a"}]`), ""},
	} {
		m, err := (&Peer{Sender: c.from}).Read([]byte(c.text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s says %.100s: %v, want %q", c.from, c.text, err, c.want)
		}
		if err == nil {
			for _, e := range append(m.Kept.events(), KeptEvent{}) {
				if e.Synced && e.Key != "" {
					t.Errorf("%.100s: more than synced", c.text)
				}
			}
		}
	}
	most, _ := json.Marshal(Message{Op: OpKept, ID: 1, Kept: &Kept{Events: make([]KeptEvent, MaxKeptEvents)}})
	if n := len(most) + MaxKeptEvents*cluster.MaxKey + (MaxKeptBytes+cluster.MaxValue)*4/3; n > MaxFromCluster {
		t.Errorf("%d bytes are more than a message of the cluster process may have", n)
	}
}

func (k *Kept) events() []KeptEvent {
	if k == nil {
		return nil
	}
	return k.Events
}

// Errors of a store come through by their kind, and say nothing else.
func TestKeptErrors(t *testing.T) {
	for _, err := range []error{nil, cluster.ErrNotFound, cluster.ErrChanged, cluster.ErrValue, cluster.ErrKey} {
		k := Kept{Failed: FailedKept(fmt.Errorf("x: %w", err))}
		if err == nil {
			k.Failed = FailedKept(nil)
		}
		if !errors.Is(k.Err(), err) {
			t.Errorf("%v has become %v", err, k.Err())
		}
	}
	k := Kept{Failed: FailedKept(errors.New("password hunter2"))}
	if k.Err() == nil || strings.Contains(k.Err().Error(), "hunter2") {
		t.Error(k.Err())
	}
}

// No process is told the keys of certificates.
func TestKeysOfCertificatesAreNotSent(t *testing.T) {
	keys, err := cluster.ParseKeysFor(cluster.PurposeCertificates, []byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(Message{Op: OpInit, Init: &Start{Cluster: &Cluster{URL: "dir:/x", Certificates: keys}}})
	if err != nil || strings.Contains(string(b), "Certificates") {
		t.Errorf("%s, %v", b, err)
	}
}
