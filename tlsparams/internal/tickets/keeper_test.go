package tickets

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

var t0 = time.Unix(1_700_000_000, 0)

func withSecret(secret string, life time.Duration) *Keeper {
	k := &Keeper{Life: life}
	k.SetSecrets([]byte(secret))
	return k
}

func seal(t *testing.T, k *Keeper, now time.Time) []byte {
	t.Helper()
	ticket, err := k.Seal([]byte("session"), []byte("binding"), now)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestTicketsLiveAsStated(t *testing.T) {
	for name, k := range map[string]*Keeper{"own": {Life: time.Hour}, "secret": withSecret("shared", time.Hour)} {
		names := map[string]bool{}
		for at := time.Duration(0); at < 5*time.Hour; at += 7 * time.Minute {
			ticket := seal(t, k, t0.Add(at))
			names[string(ticket[:NameSize])] = true
			for _, age := range []time.Duration{0, 30 * time.Minute, 59 * time.Minute} {
				// Later tickets make keys change in between.
				if age > 0 {
					seal(t, k, t0.Add(at+age))
				}
				if string(k.Open(ticket, []byte("binding"), t0.Add(at+age), false)) != "session" {
					t.Fatalf("%s: a ticket of %v is dead at %v", name, at, age)
				}
			}
			if k.Open(ticket, []byte("binding"), t0.Add(at+61*time.Minute), false) != nil {
				t.Fatalf("%s: a ticket lives beyond its life", name)
			}
		}
		if len(names) < 8 || len(k.own) > 4 {
			t.Errorf("%s: %d keys in five hours, %d kept", name, len(names), len(k.own))
		}
	}
}

func TestOnlyUntouchedTicketsOpen(t *testing.T) {
	k := &Keeper{}
	ticket := seal(t, k, t0)
	if k.Open(ticket, []byte("other binding"), t0, false) != nil {
		t.Error("opens under another binding")
	}
	for i := range ticket {
		bad := bytes.Clone(ticket)
		bad[i] ^= 1
		if k.Open(bad, []byte("binding"), t0, false) != nil {
			t.Errorf("opens with byte %d changed", i)
		}
	}
	for n := range ticket {
		if k.Open(ticket[:n], []byte("binding"), t0, false) != nil {
			t.Errorf("opens cut to %d", n)
		}
	}
	if (&Keeper{}).Open(ticket, []byte("binding"), t0, false) != nil {
		t.Error("another keeper opens it")
	}
}

// TestMachinesShareAFile rolls a key file over two machines, one after the
// other, as operators do.
func TestMachinesShareAFile(t *testing.T) {
	parse := func(lines ...string) [][]byte {
		keys, err := ParseKeys([]byte(strings.Join(lines, "\n")))
		if err != nil {
			t.Fatal(err)
		}
		return keys
	}
	k1 := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 48))
	k2 := hex.EncodeToString(bytes.Repeat([]byte{2}, 32))
	a, b := &Keeper{}, &Keeper{}
	check := func(step string) {
		for _, p := range [][2]*Keeper{{a, b}, {b, a}} {
			if p[1].Open(seal(t, p[0], t0), []byte("binding"), t0, false) == nil {
				t.Error(step, "a ticket of the other machine does not open")
			}
		}
	}
	for i, files := range [][2][]string{{{"# keys", k1}, {k1}}, {{k1, k2}, {k1}}, {{k1, k2}, {k1, k2}}, {{k2, k1}, {k1, k2}}, {{k2, k1}, {k2, k1}}, {{k2}, {k2, k1}}} {
		a.SetKeys(parse(files[0]...))
		b.SetKeys(parse(files[1]...))
		check(fmt.Sprint("step ", i))
	}
	if _, err := ParseKeys([]byte("short")); err == nil {
		t.Error("a short key passes")
	}
	if keys, err := ParseKeys(bytes.Repeat([]byte{7}, 80)); err != nil || len(keys) != 1 {
		t.Error("nginx's form is refused")
	}
}

func TestLookup(t *testing.T) {
	key, name := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 16)
	k := &Keeper{Lookup: func(n []byte) ([]byte, []byte, error) {
		if n == nil || bytes.Equal(n, name) {
			return key, name, nil
		}
		return nil, name, nil
	}}
	ticket := seal(t, k, t0)
	if !bytes.Equal(ticket[:NameSize], name) || k.Open(ticket, []byte("binding"), t0, false) == nil {
		t.Error("the function's key is not used")
	}
	bad := &Keeper{Lookup: func([]byte) ([]byte, []byte, error) { return key[:5], name, nil }}
	if _, err := bad.Seal(nil, nil, t0); !errors.Is(err, errKey) {
		t.Error(err)
	}
	failed := &Keeper{Lookup: func([]byte) ([]byte, []byte, error) { return key, name, errors.New("the store is gone") }}
	if failed.Open(ticket, []byte("binding"), t0, false) != nil {
		t.Error("a ticket opens with a key that came with an error")
	}
	if _, err := failed.Seal(nil, nil, t0); err == nil {
		t.Error("a ticket is sealed with a key that came with an error")
	}
}

// TestOddLife: the epochs of a life of an odd number of seconds are shorter than
// half of it, and a ticket lives through more of them.
func TestOddLife(t *testing.T) {
	k := withSecret("shared", 3*time.Second)
	for at := range time.Duration(6) {
		ticket := seal(t, k, t0.Add(at*time.Second))
		if string(k.Open(ticket, []byte("binding"), t0.Add((at+3)*time.Second), false)) != "session" {
			t.Errorf("a ticket sealed after %d s is dead before its end", at)
		}
	}
}

// TestSecretsOfThePast open only where that is allowed, and seal nothing.
func TestSecretsOfThePast(t *testing.T) {
	k, binding := &Keeper{}, []byte("binding")
	old := seal(t, withSecret("first", 0), t0)
	k.SetSecrets([]byte("second"), []byte("zeroth"), []byte("first"))
	if k.Open(old, binding, t0, false) != nil {
		t.Error("a ticket of the past opens")
	}
	if string(k.Open(old, binding, t0, true)) != "session" {
		t.Error("a ticket of the past does not open where it may")
	}
	now := seal(t, k, t0)
	if withSecret("second", 0).Open(now, binding, t0, false) == nil || withSecret("first", 0).Open(now, binding, t0, true) != nil {
		t.Error("sealed with another secret than the current one")
	}
	k.SetSecrets([]byte("third"))
	if k.Open(old, binding, t0, true) != nil || k.Open(now, binding, t0, true) != nil {
		t.Error("a ticket opens whose secret is gone")
	}
}

// TestFewKeysAreKept however long a Keeper lives.
func TestFewKeysAreKept(t *testing.T) {
	k := withSecret("x", time.Hour)
	for i := range 100 {
		now := t0.Add(time.Duration(i) * time.Hour)
		k.Open(seal(t, k, now), []byte("binding"), now, true)
		if n := len(k.secrets[0].keys); n > 11 {
			t.Fatalf("%d keys", n)
		}
	}
}

func TestKeysAreHidden(t *testing.T) {
	k := withSecret("hunter2", 0)
	seal(t, k, t0)
	for _, f := range []string{"%v", "%+v", "%#v", "%s"} {
		if s := fmt.Sprintf(f, k); strings.Contains(s, "hunter2") || strings.Contains(s, "104") {
			t.Error(s)
		}
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("# x\nAAAA"))
	f.Add(bytes.Repeat([]byte{1}, 48))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseKeys(data)
		if (err == nil) != (len(keys) > 0) {
			t.Fatal(err)
		}
		for _, k := range keys {
			if len(k) < 32 {
				t.Fatal("short key")
			}
		}
	})
}

func FuzzOpen(f *testing.F) {
	k := withSecret("x", 0)
	f.Add([]byte{1}, 100)
	f.Add([]byte{0, 0x80}, 24)
	f.Fuzz(func(t *testing.T, noise []byte, size int) {
		ticket, err := k.Seal([]byte("s"), nil, t0)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(ticket)[:min(len(ticket), max(0, size))]
		for i := range min(len(noise), len(bad)) {
			bad[i] ^= noise[i]
		}
		if k.Open(bad, nil, t0, false) != nil && !bytes.Equal(bad, ticket) {
			t.Fatal("forged")
		}
	})
}

func BenchmarkSealAndOpen(b *testing.B) {
	k := &Keeper{}
	plain, binding := make([]byte, 300), make([]byte, 32)
	for b.Loop() {
		ticket, _ := k.Seal(plain, binding, t0)
		k.Open(ticket, binding, t0, false)
	}
}
