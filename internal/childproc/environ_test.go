package childproc

import (
	"os"
	"os/user"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// loginOf returns what a program is told of the user uid, and skips the test on
// systems that know nobody by a number.
func loginOf(t *testing.T, uid int) []string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("no numbers of users")
	}
	u, err := user.LookupId(strconv.Itoa(uid))
	if err != nil {
		t.Skip(err)
	}
	return []string{"HOME=" + u.HomeDir, "USER=" + u.Username, "LOGNAME=" + u.Username, "SHELL=" + shellOf(u.Uid)}
}

// A program has a short list of the server's environment, and what was asked
// for; never what is for the server alone.
func TestProgramEnviron(t *testing.T) {
	login := loginOf(t, os.Geteuid())
	me := []string{"HOME=/h", "USER=u", "LOGNAME=l", "SHELL=/s"}
	for name, c := range map[string]struct{ server, more, want []string }{
		"secrets":               {[]string{"PATH=/bin", "AWS_SECRET=x", "SSH_AUTH_SOCK=y"}, nil, append([]string{"PATH=/bin"}, login...)},
		"time and language":     {append([]string{"TZ=UTC", "LANG=C", "LANGUAGE=de", "LC_ALL=C", "LC_TIME=C"}, me...), nil, append([]string{"TZ=UTC", "LANG=C", "LANGUAGE=de", "LC_ALL=C", "LC_TIME=C"}, me...)},
		"names that begin so":   {append([]string{"PATHS=x", "LC=x", "LANGUAGES=x", "XLC_ALL=x"}, me...), nil, me},
		"names in small":        {append([]string{"path=/x", "lc_all=x"}, me...), nil, me},
		"of another system":     {append([]string{"WINDIR=x", "TEMP=/tmp"}, me...), nil, me},
		"what has no value":     {append([]string{"PATH", "=x"}, me...), nil, me},
		"a name":                {append([]string{"A=1", "AB=2"}, me...), []string{"A"}, append([]string{"A=1"}, me...)},
		"a name that is absent": {me, []string{"A"}, me},
		"a prefix":              {append([]string{"A=1", "AB=2", "BA=3"}, me...), []string{"A*"}, append([]string{"A=1", "AB=2"}, me...)},
		"a value":               {me, []string{"A=1"}, append(slices.Clone(me), "A=1")},
		"a value instead":       {append([]string{"LANGUAGE=de", "LANG=C"}, me...), []string{"LANG=de"}, append([]string{"LANGUAGE=de", "LANG=de"}, me...)},
		"the last value":        {append([]string{"TZ=A", "TZ=B"}, me...), []string{"B=1", "B=2"}, append(append([]string{"TZ=B"}, me...), "B=2")},
		"the server's own":      {append([]string{"LISTEN_FDS=1", "NOTIFY_SOCKET=/n", "NETSERVER_PORT=1"}, me...), []string{"LISTEN_FDS", "N*", "*"}, me},
		"another home":          {me[1:], []string{"HOME=/mine"}, append(slices.Clone(me[1:]), "HOME=/mine")},
		"without a home":        {me[1:], nil, append(slices.Clone(me[1:]), login[0])},
		"without a shell":       {me[:3], nil, append(slices.Clone(me[:3]), login[3])},
	} {
		got := ProgramEnviron(c.server, c.more)
		want := slices.Sorted(slices.Values(c.want))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, want)
		}
	}
}

// The environment of another user says who that is, and of nobody's number
// nothing.
func TestLoginEnviron(t *testing.T) {
	login := loginOf(t, 0)
	env := []string{"PATH=/bin", "HOME=/h", "A=1", "USER=u", "LOGNAME=l", "SHELL=/s", "HOMES=2"}
	rest := []string{"PATH=/bin", "A=1", "HOMES=2"}
	if got, want := LoginEnviron(env, 0), append(slices.Clone(rest), login...); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := LoginEnviron(env, 1<<31-7); !slices.Equal(got, rest) {
		t.Errorf("of nobody: %q", got)
	}
}

func TestServersOwnNames(t *testing.T) {
	for name, want := range map[string]bool{"LISTEN_FDS": true, "NETSERVER_PORT": true, "NETSERVER_": true, "LISTEN_FDSX": false,
		"XLISTEN_FDS": false, "NETSERVER": false, "PATH": false, "": false} {
		if got := IsServersOwn(name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// The shell of every user is the one that /etc/passwd has in the user's own
// line.
func TestShellOf(t *testing.T) {
	b, err := os.ReadFile("/etc/passwd")
	if err != nil {
		t.Skip(err)
	}
	seen := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(f) != 7 || seen[f[2]] {
			continue
		}
		seen[f[2]] = true
		want := f[6]
		if want == "" {
			want = "/bin/sh"
		}
		if got := shellOf(f[2]); got != want {
			t.Errorf("user %s: %s, want %s", f[2], got, want)
		}
	}
	if got := shellOf("2147483641"); got != "/bin/sh" {
		t.Errorf("of nobody: %s", got)
	}
}
