package conf

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestReadLinesProblems(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	tests := []struct{ text, want string }{
		{"user " + long[:maxLine-5] + "\n", ""},
		{"user " + long + "\nuser y\n", "user=y@2\n! the line is longer than 64 KiB (f.conf:1)"},
		{"user a\x00\nuser b", "user=b@2\n! there is a NUL byte in the line: this is not a text file (f.conf:1)"},
		{"setsid\nuser =\nuser # x\n", "! setsid: the line has no value (f.conf:1); write \"setsid 1\"\n" +
			"! user: the line has no value (f.conf:2); write \"user NAME\"\n" +
			"! user: the line has no value (f.conf:3); write \"user NAME\""},
		{"max-connections secret\n", `! the line that begins with "max-connections" is not KEY VALUE (f.conf:1); did you mean max_connections?`},
		{"conf_file other.conf\n", "! conf_file: a conf file cannot name another one (f.conf:1)"},
		{"\uFEFF# c\r\nuser x\r\n", "user=x@2"},
		{"\uFEFFuser x", "user=x@1"},
		{"unknown 1\nuser x # y \\# z", "unknown=1@1\nuser=x@2"},
	}
	for _, tt := range tests {
		got := show(argSet().ReadLines("f.conf", []byte(tt.text)))
		if tt.want == "" {
			tt.want = "user=" + long[:maxLine-5] + "@1"
		}
		if got != tt.want {
			t.Errorf("%.80q:\n got %.300s\nwant %.300s", tt.text, got, tt.want)
		}
	}
}

func TestGarbageMakesFewProblems(t *testing.T) {
	l := argSet().ReadLines("f.conf", []byte(strings.Repeat("?\n", 100000)))
	if n := len(l.Problems); n != maxProblems+1 {
		t.Errorf("%d problems", n)
	}
	last := l.Problems[maxProblems].Error()
	if !strings.HasPrefix(last, "more than 100 problems of this kind") {
		t.Error(last)
	}
	l = argSet().ReadLines("f.conf", []byte(strings.Repeat("foo bar\n", 100000)))
	_, err := argSet().Resolve(l)
	if n := len(err.(Problems)); n != maxProblems+1 {
		t.Errorf("%d problems of unknown keys", n)
	}
}

// write makes a file for the test.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile(t *testing.T) {
	s := argSet()
	if got := show(s.ReadFile(write(t, "a.conf", "user = x\n"))); got != "user=x@1" {
		t.Error(got)
	}
	if got := show(s.ReadFile(write(t, "a.TOML", "user = 'x'\n"))); got != "user=x@1" {
		t.Error(got)
	}
	dir := t.TempDir()
	if got, want := show(s.ReadFile(dir)), "! conf_file: cannot read it: it is a directory ("; !strings.HasPrefix(got, want) {
		t.Error(got)
	}
	missing := filepath.Join(dir, "missing.conf")
	got := show(s.ReadFile(missing))
	if !strings.HasPrefix(got, "! conf_file: cannot read it: ") || strings.Count(got, "missing.conf") != 1 {
		t.Error(got)
	}
	big := write(t, "big.conf", "")
	if err := os.Truncate(big, maxFile+1); err != nil {
		t.Fatal(err)
	}
	if got := show(s.ReadFile(big)); !strings.Contains(got, "it is larger than 16 MiB (") {
		t.Errorf("%.200s", got)
	}
}

func TestReadFileIsNoDevice(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no device files")
	}
	if got := show(argSet().ReadFile("/dev/null")); got != "! conf_file: cannot read it: it is neither a file nor a pipe (/dev/null)" {
		t.Error(got)
	}
}

func TestReadFileTakesPipe(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /dev/fd")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("user x\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if got := show(argSet().ReadFile("/dev/fd/" + formatInt(int64(r.Fd())))); got != "user=x@1" {
		t.Error(got)
	}
}

func TestWithConfFile(t *testing.T) {
	s := argSet()
	s.Define(Key{Name: "conf_file"}, String(new(string)))
	path := write(t, "a.conf", "user file\nmax_connections 5\n")
	args := s.ReadArgs([]string{"--conf_file", path, "--user", "args"})
	env := s.ReadEnv([]string{"NETSERVER_CONF_FILE=/nowhere"})
	layers := s.WithConfFile([]Layer{env, args.Layer})
	r, err := s.Resolve(layers...)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.Origins(); got["user"] != "command line" || got["max_connections"] != path+":2" || got["conf_file"] != "command line" {
		t.Error(got)
	}
	if got := s.WithConfFile([]Layer{env, s.ReadArgs([]string{"--conf_file="}).Layer}); len(got) != 2 {
		t.Error("an empty name was read")
	}

	var byDefault Set
	byDefault.Define(Key{Name: "conf_file", Default: path}, String(new(string)))
	if got := byDefault.WithConfFile(nil); len(got) != 1 || len(got[0].Entries) != 2 {
		t.Errorf("%+v", got)
	}
}
