package tlsparams

import (
	"bytes"
	"strings"
	"testing"
)

// TestDamagedPasswordFiles: they are called damaged, not a wrong password.
func TestDamagedPasswordFiles(t *testing.T) {
	for name, c := range map[string]struct{ data, want, fault string }{
		"plain":           {"secret", "secret", ""},
		"blanks":          {" se cret \r\nmore\n", " se cret ", ""},
		"other charset":   {"secr\xe9t\n", "secr\xe9t", ""},
		"empty line":      {"\nsecret\n", "", "nothing in its first line"},
		"byte order mark": {"\xef\xbb\xbfsecret\n", "", "byte order mark"},
		"UTF-16":          {"s\x00e\x00c\x00\n\x00", "", "NUL bytes"},
		"zeros":           {string(make([]byte, 512)), "", "NUL bytes"},
		"long":            {strings.Repeat("x", maxPassword+1), "", "more than 4096 bytes"},
	} {
		got, err := firstLine([]byte(c.data))
		if string(got) != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	p := Params{PasswdFile: writeFile(t, t.TempDir(), "pw", []byte("\xef\xbb\xbfhunter2\n"))}
	if _, err := p.passwords(&Env{})("x.key"); err == nil || !strings.Contains(err.Error(), "pw begins with a byte order mark") || strings.Contains(err.Error(), "hunter2") {
		t.Error(err)
	}
	p = Params{PasswdCommand: "true"}
	if _, err := p.passwords(&Env{})("x.key"); err == nil || !strings.Contains(err.Error(), "SSL_passwd_command true prints has nothing") {
		t.Error(err)
	}
}

func FuzzPasswordFile(f *testing.F) {
	for _, s := range []string{"secret\n", " a b \r\nc", "\xef\xbb\xbfx", "a\x00b", "", "\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		pw, err := firstLine(data)
		switch {
		case err != nil && (pw != nil || strings.Contains(err.Error(), "\n")):
			t.Fatalf("%q %v", pw, err)
		case err == nil && (len(pw) == 0 || len(pw) > maxPassword || !bytes.HasPrefix(data, pw) || bytes.ContainsAny(pw, "\n\x00")):
			t.Fatalf("%q of %q", pw, data)
		}
	})
}
