package certfile

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func block(typ string, n int) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: bytes.Repeat([]byte{'x'}, n)}))
}

// damage is what is wrong with a file, and what the error says of it.
func damage() map[string]struct{ text, want string } {
	a, b := block("CERTIFICATE", 100), block("CERTIFICATE", 150)
	key := block("PRIVATE KEY", 100)
	body := strings.Split(b, "\n")[1]
	return map[string]struct{ text, want string }{
		"second cut":                       {a + b[:len(b)-40], "cut short: the block CERTIFICATE that begins in line 6 has no END line"},
		"cut in the END line":              {a + b[:len(b)-3], "cut short: the block CERTIFICATE that begins in line 6"},
		"cut after BEGIN":                  {a + "-----BEGIN CERTIFICATE-----\n", "cut short"},
		"cut in the BEGIN line":            {a + "-----BEGIN CERTIFIC", "damaged in line 6"},
		"cut after dashes":                 {a + "-----", "cut short: line 6 is the start of a BEGIN line"},
		"beginning cut":                    {b[60:] + a, "base64 outside of a block"},
		"END alone":                        {"-----END CERTIFICATE-----\n" + a, "END line without the BEGIN line"},
		"bad base64":                       {a + strings.Replace(b, "eHh4", "eH!4", 1), "damaged in line 7: it is not base64"},
		"base64 too short":                 {a + strings.Replace(b, "eHh4", "eHh", 1), "not base64, or a part of it is missing"},
		"padding within":                   {a + strings.Replace(b, "eHh4eHh4", "eHg=eHh4", 1), "not base64, or a part of it is missing"},
		"joined":                           {strings.TrimRight(a, "\n") + b, "damaged in line 5: the end of one block and the beginning of the next"},
		"joined in a block":                {strings.Replace(a, "\n-----END", "-----END", 1) + b, "it is not base64"},
		"byte order mark":                  {a + "\xef\xbb\xbf" + b, "byte order mark before BEGIN"},
		"mark after a comment":             {"hello\n\xef\xbb\xbf" + a, "byte order mark before BEGIN"},
		"END of another":                   {a + strings.Replace(b, "END CERTIFICATE", "END X509 CRL", 1), "it ends X509 CRL, but the block that begins in line 6 is CERTIFICATE"},
		"BEGIN within":                     {a[:len(a)-27] + "\n" + b, "a block begins before the END line"},
		"unknown kind":                     {a + block("CERTIFICTE", 150), `unknown kind, "CERTIFICTE"`},
		"four dashes":                      {a + b[1:], "looks like a BEGIN or END line"},
		"four dashes at end":               {a + strings.Replace(b, "CERTIFICATE-----\n", "CERTIFICATE----\n", 1), "looks like a BEGIN or END line"},
		"no dashes at end":                 {a + strings.Replace(b, "CERTIFICATE-----\n", "CERTIFICATE\n", 1), "looks like a BEGIN or END line"},
		"no blank":                         {a + strings.Replace(b, "BEGIN CERT", "BEGINCERT", 1), "base64 outside"},
		"lower case":                       {a + strings.ToLower(b), "looks like a BEGIN or END line"},
		"indented":                         {a + strings.ReplaceAll(b, "\n", "\n  "), "not base64"},
		"indented BEGIN":                   {a + "  " + b, "must not be indented"},
		"empty line":                       {a + strings.Replace(b, body, body+"\n", 1), "empty line in the block"},
		"empty block":                      {a + "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "is empty"},
		"zeros after a crash":              {a + string(make([]byte, 512)), "NUL bytes"},
		"zeros in a block":                 {a[:60] + strings.Repeat("\x00", 60) + a[120:], "damaged in line"},
		"headers":                          {a + strings.Replace(b, "-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1), "has no headers"},
		"half of the headers":              {strings.Replace(key, "-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1), "says that it is encrypted, but not how"},
		"other headers":                    {strings.Replace(key, "-----\n", "-----\nComment: mine\n\n", 1), "an unknown or misplaced header"},
		"end in the headers":               {"-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00", "cut short"},
		"UTF-16":                           {"\xff\xfe-\x00-\x00", "UTF-16"},
		"carriage returns":                 {strings.ReplaceAll(a, "\n", "\r"), "carriage return"},
		"misspelt parameters without END":  {"------BEGIN DH PARAMETERS-----\neHh4\n" + a, "line 3: it is not in a block of parameters, whose END DH PARAMETERS line is missing"},
		"misspelt parameters cut":          {a + "------BEGIN DH PARAMETERS-----\neHh4", "is cut short: a block of parameters has no END DH PARAMETERS line"},
		"misspelt parameters of two kinds": {"------BEGIN DH PARAMETERS-----\neHh4\n-----END EC PARAMETERS-----\n" + a, "line 3: it is not in a block of parameters"},
		"misspelt parameters and words":    {"------BEGIN DH PARAMETERS-----\nhello world\n-----END DH PARAMETERS-----\n" + a, "line 2: it is not in a block"},
		"six dashes":                       {a + "-" + b, "looks like a BEGIN or END line"},
		"long kind":                        {"-----BEGIN " + strings.Repeat("A", 5000) + "-----\n" + a, "looks like a BEGIN or END line"},
	}
}

func TestDamageIsFound(t *testing.T) {
	for name, c := range damage() {
		bs, err := Blocks([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %d blocks, %v; want %q", name, len(bs), err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "eHh4") {
			t.Errorf("%s: the error shows what is in the block: %v", name, err)
		}
	}
}

// sound is what OpenSSL reads, with the number of blocks.
func sound() map[string]struct {
	text string
	n    int
} {
	a, b := block("CERTIFICATE", 100), block("CERTIFICATE", 151)
	return map[string]struct {
		text string
		n    int
	}{
		"plain":             {a + b, 2},
		"byte order mark":   {"\xef\xbb\xbf" + a + b, 2},
		"DOS lines":         {strings.ReplaceAll(a+b, "\n", "\r\n"), 2},
		"no end of line":    {strings.TrimRight(a+b, "\n"), 2},
		"blanks at the end": {strings.ReplaceAll(a+b, "\n", " \t\n"), 2},
		"comments":          {"# the chain\nBag Attributes\n    localKeyID: 01 \nsubject=CN = x\n\n" + a + "\n==========\n-- next --\n" + b + "\nend\n", 2},
		"text of openssl":   {"Certificate:\n    Data:\n        Version: 3 (0x2)\n        Serial Number:\n            0b:ee\n" + a + strings.Repeat("a0", 40) + "\n" + b, 2},
		"prose":             {"The quick brown fox jumps over the lazy dog, 13 times, and Writes it down (Zürich).\n" + a + strings.Repeat("=", 70) + "\n" + b, 2},
		"one long line":     {oneLine(a) + b, 2},
		"other kinds":       {a + block("X509 CRL", 100) + block("DH PARAMETERS", 20) + b, 4},
		"misspelt DH":       {a + "-" + block("DH PARAMETERS", 100) + b, 2},
		"misspelt EC":       {"-" + block("EC PARAMETERS", 10) + a + "-" + block("DH PARAMETERS", 100), 1},
		"empty line first":  {strings.Replace(a, "-----\n", "-----\n\n", 1) + b, 2},
		"not PEM":           {"hello", 0},
		"nothing":           {"", 0},
	}
}

func oneLine(a string) string {
	parts := strings.Split(strings.TrimSpace(a), "\n")
	return parts[0] + "\n" + strings.Join(parts[1:len(parts)-1], "") + "\n" + parts[len(parts)-1] + "\n"
}

func TestSoundFiles(t *testing.T) {
	for name, c := range sound() {
		bs, err := Blocks([]byte(c.text))
		if err != nil || len(bs) != c.n {
			t.Errorf("%s: %d blocks, want %d: %v", name, len(bs), c.n, err)
		}
	}
}

// TestSameAsOpenSSL asks openssl what it finds in each text that is read here:
// it has to be the same number of certificates.
func TestSameAsOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	c, _ := pair(t)
	real := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	dir := t.TempDir()
	for name, s := range sound() {
		text := s.text
		for _, n := range []int{100, 151} {
			text = strings.ReplaceAll(text, strings.ReplaceAll(block("CERTIFICATE", n), "\n", "\r\n"), strings.ReplaceAll(real, "\n", "\r\n"))
			text = strings.ReplaceAll(text, block("CERTIFICATE", n), real)
		}
		file := filepath.Join(dir, "x.pem")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		// pkcs7 reads every certificate of a file, and fails if there is none.
		out, _ := exec.Command("sh", "-c", "openssl crl2pkcs7 -nocrl -certfile "+file+" | openssl pkcs7 -print_certs").CombinedOutput()
		bs, err := Blocks([]byte(text))
		certs := 0
		for _, b := range bs {
			if b.Type == "CERTIFICATE" && bytes.Equal(b.Bytes, c.Raw) {
				certs++
			}
		}
		if strings.Contains(text, "eHh4") || s.n == 0 {
			continue // not a certificate that openssl could read
		}
		if want := bytes.Count(out, []byte("-----BEGIN CERTIFICATE-----")); err != nil || certs != want {
			t.Errorf("%s: %d certificates here, %d with openssl: %v\n%s", name, certs, want, err, out)
		}
	}
}

// TestNothingOfAKeyIsGiven: of a damaged file with a key nothing goes to a
// process that is to have no keys.
func TestNothingOfAKeyIsGiven(t *testing.T) {
	a, key := block("CERTIFICATE", 100), block("EC PRIVATE KEY", 100)
	got, err := WithoutKeys([]byte("hello\n" + a + key))
	if err != nil || string(got) != a {
		t.Errorf("%q %v", got, err)
	}
	for _, text := range []string{a + key[:len(key)-10], a + key[3:], key[:40], "PRIVATE KEY", a + strings.TrimSpace(key) + a} {
		if got, err := WithoutKeys([]byte(text)); err == nil {
			t.Errorf("%q of %q", got, text)
		}
	}
}

var beginLine = regexp.MustCompile(`(?m)^-----BEGIN `)

// FuzzBlocks: for every text there is an error, or each BEGIN line has its
// block, and package encoding/pem finds the same blocks and no others.
func FuzzBlocks(f *testing.F) {
	for _, c := range damage() {
		f.Add([]byte(c.text))
	}
	for _, c := range sound() {
		f.Add([]byte(c.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		bs, err := Blocks(data)
		if err != nil {
			if bs != nil || strings.Contains(err.Error(), "\n") {
				t.Fatalf("%d blocks, %q", len(bs), err)
			}
			return
		}
		if isDER(data) {
			return
		}
		text := bytes.TrimPrefix(data, bom)
		if n := len(beginLine.FindAll(text, -1)); n != len(bs) {
			t.Fatalf("%d BEGIN lines, %d blocks", n, len(bs))
		}
		for i := range bs {
			var p *pem.Block
			if p, text = pem.Decode(text); p == nil {
				t.Fatalf("encoding/pem finds %d of %d blocks", i, len(bs))
			}
			b := &bs[i]
			if p.Type != b.Type || !bytes.Equal(p.Bytes, b.Bytes) || p.Headers["DEK-Info"] != b.DEK || b.Line < 1 {
				t.Fatalf("block %d: %s", i, diff(p, b))
			}
		}
		if p, _ := pem.Decode(text); p != nil {
			t.Fatalf("encoding/pem finds one more: %s", p.Type)
		}
	})
}

func diff(p *pem.Block, b *Block) string {
	return fmt.Sprintf("encoding/pem %q %x %v, here %q %x %q", p.Type, p.Bytes, p.Headers, b.Type, b.Bytes, b.DEK)
}

func BenchmarkBlocks(b *testing.B) {
	text := []byte(strings.Repeat(block("CERTIFICATE", 1500), 100))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if bs, err := Blocks(text); err != nil || len(bs) != 100 {
			b.Fatal(err)
		}
	}
}
