package cipherlist

import (
	"crypto/tls"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func names(ids []uint16) string {
	var out []string
	for _, id := range ids {
		out = append(out, Name(id))
	}
	return strings.Join(out, ":")
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"ECDHE+AESGCM":                               "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256",
		"AES128-SHA:NOSUCH:AES256-SHA":               "AES128-SHA:AES256-SHA",
		"AES128-SHA;AES256-SHA,@STRENGTH":            "AES256-SHA:AES128-SHA",
		"kRSA:!SHA:!AESGCM":                          "AES128-SHA256",
		"kRSA+CBC:+AES128-SHA256":                    "AES256-SHA:AES128-SHA:AES128-SHA256",
		"AES128-SHA AES256-SHA:-AES128-SHA:kRSA+SHA": "AES256-SHA:AES128-SHA",
		"DEFAULT:!ALL:AES128-SHA":                    "",
		"aecdsa":                                     "",
	} {
		ids, err := Parse(text)
		if got := names(ids); got != want || (err != nil) != (want == "") {
			t.Errorf("%q:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
	for _, text := range []string{"@NOSUCH", "AES128-SHA:?", "ALL:@SECLEVEL=9", "SUITEB128", "ALL:@SECLEVEL=4", "AES+"} {
		if ids, err := Parse(text); err == nil {
			t.Errorf("%q: no error but %s", text, names(ids))
		}
	}
}

// Each level says what it means here: nothing, or too much.
func TestSecurityLevels(t *testing.T) {
	for command, want := range map[string]string{
		"SECLEVEL=0": "", "SECLEVEL=1": "", "SECLEVEL=2": "",
		"SECLEVEL=3": "also limits keys and groups", "SECLEVEL=4": "also limits keys and groups", "SECLEVEL=5": "also limits keys and groups",
		"SECLEVEL=6": "unknown command", "SECLEVEL=": "unknown command", "0": "unknown command", "3": "unknown command", "LEVEL=3": "unknown command",
	} {
		ids, err := Parse("AES128-SHA:@" + command)
		if want == "" && (err != nil || names(ids) != "AES128-SHA") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("@%s: %s, %v; want %q", command, names(ids), err, want)
		}
	}
}

func TestSuitesAreGoSuites(t *testing.T) {
	have := map[uint16]bool{}
	for _, s := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		have[s.ID] = true
	}
	for _, s := range suites() {
		if !have[s.id] {
			t.Errorf("%s is not in crypto/tls", s.name)
		}
	}
}

// TestLikeOpenSSL compares with openssl ciphers, cut to the suites of
// crypto/tls, over the usual strings and many generated ones.
func TestLikeOpenSSL(t *testing.T) {
	bin, err := exec.LookPath("openssl")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	known := map[string]bool{}
	for _, s := range suites() {
		known[s.name] = true
	}
	texts := []string{"DEFAULT", "ALL", "HIGH:!aNULL:!MD5", "DEFAULT !EXP !MEDIUM !LOW !eNULL !aNULL !RC4 !DES !MD5 !PSK !SRP",
		"EECDH+AESGCM:EDH+AESGCM", "DEFAULT@STRENGTH", "DEFAULT+SHA", "DEFAULT-SHA:SHA", "ALL:DEFAULT", "AES128-SHA_X:AES128-SHA",
		"ALL:!SHA256", "FIPS", "SHA384:AES128-SHA", "COMPLEMENTOFALL:AES128-SHA", "ALL:COMPLEMENTOFDEFAULT", "TLSv1.2:-AES128", "TLSv1", "SSLv3"}
	r := rand.New(rand.NewPCG(1, 2))
	for len(texts) < 400 {
		texts = append(texts, generate(r))
	}
	compared := 0
	for _, text := range texts {
		given := text
		if strings.HasPrefix(text, "-") {
			given = ":" + text // or openssl takes it for an option
		}
		out, cmdErr := exec.Command(bin, "ciphers", "-s", "-tls1_2", given).Output()
		var want []string
		for _, n := range strings.Split(strings.TrimSpace(string(out)), ":") {
			if known[n] {
				want = append(want, n)
			}
		}
		if cmdErr != nil {
			want = nil
		}
		ids, err := Parse(text)
		if got := names(ids); got != strings.Join(want, ":") {
			t.Errorf("%q:\n got %s, %v\nwant %s", text, got, err, strings.Join(want, ":"))
		}
		compared++
	}
	t.Logf("%d strings compared", compared)
}

func generate(r *rand.Rand) string {
	words := []string{"NOSUCH", "DHE", "MD5", "PSK", "CAMELLIA", "eNULL", "aNULL", "3DES", "SHA384"}
	for w := range keywords(suites()) {
		words = append(words, w)
	}
	// Map order is random: sort, so that a failure can be seen again.
	for i := range words {
		for j := i + 1; j < len(words); j++ {
			if words[j] < words[i] {
				words[i], words[j] = words[j], words[i]
			}
		}
	}
	var b strings.Builder
	for i := range 1 + r.IntN(6) {
		if i > 0 {
			b.WriteByte(": ;,"[r.IntN(4)])
		}
		if r.IntN(12) == 0 {
			b.WriteString("@STRENGTH")
			continue
		}
		b.WriteString([]string{"", "", "", "-", "!", "+"}[r.IntN(6)])
		for j := range 1 + r.IntN(2) {
			if j > 0 {
				b.WriteByte('+')
			}
			b.WriteString(words[r.IntN(len(words))])
		}
	}
	return b.String()
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"DEFAULT", "ALL:!SHA", "@STRENGTH", "A+B+", "+", "@", "-ALL;ALL"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids, err := Parse(text)
		if (len(ids) == 0) != (err != nil) {
			t.Fatalf("%q: %v %v", text, ids, err)
		}
		seen := map[uint16]bool{}
		for _, id := range ids {
			if seen[id] {
				t.Fatalf("%q: %04x twice", text, id)
			}
			seen[id] = true
		}
	})
}
