package access

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"

	"netserver/conf"
)

// write replaces a file by renaming, as one should.
func write(t *testing.T, path, text string) {
	t.Helper()
	tmp := path + ".new"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, path); err != nil {
		t.Fatal(err)
	}
}

func TestRuleFiles(t *testing.T) {
	dir := t.TempDir()
	nets, res := filepath.Join(dir, "nets"), filepath.Join(dir, "res")
	write(t, nets, "\xef\xbb\xbf# comment\r\n\r\n10.0.0.0/8 ; SBL1\r\n  2001:db8::/32\t# documentation\n192.0.2.1")
	write(t, res, "# comment\n\n  127\\..*  \n[#;]x\n")
	p := compile(t, Rules{CIDRAllowFile: Texts(nets), AllowFile: Texts(res)})
	for addr, want := range map[string]string{
		"10.1.1.1":    "cidr_allow 10.0.0.0/8 (" + nets + ":3)",
		"2001:db8::1": "cidr_allow 2001:db8::/32 (" + nets + ":4)",
		"192.0.2.1":   "cidr_allow 192.0.2.1 (" + nets + ":5)",
		"127.0.0.1":   `allow 127\..* (` + res + ":3)",
		"9.9.9.9":     "no rule allows",
	} {
		if v := p.Early(ipPeer(addr)); v.Rule != want {
			t.Errorf("%s: %s, want %s", addr, v.Rule, want)
		}
	}
}

func TestEmptyRuleFileIsARule(t *testing.T) {
	path := filepath.Join(t.TempDir(), "empty")
	write(t, path, "# nothing\n")
	for i, r := range []Rules{{AllowFile: Texts(path)}, {DenyFile: Texts(path)}, {CIDRAllowFile: Texts(path)}, {CIDRDenyFile: Texts(path)}} {
		if v := compile(t, r).Early(ipPeer("10.0.0.1")); v.Allowed {
			t.Errorf("%d: %+v", i, v)
		}
	}
}

func TestBadRuleFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(text string) string {
		f, err := os.CreateTemp(dir, "")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(text); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	for _, c := range []struct {
		name, path, want string
	}{
		{"directory", dir, "not a regular file"},
		{"missing", dir + "/none", "none"},
		{"empty name", "", "cidr_deny_file \"\" (code)"},
		{"bad network", file("10.0.0.0/8\n10.0.0.0/40\n"), ":2): write 0 to 32"},
		{"long line", file("10.0.0.0/8\n" + strings.Repeat("1", maxLine+1)), ":2: longer than 4096 bytes"},
		{"binary", file("\x00\xff\xfe"), "This doesn't look like start-end"},
	} {
		_, err := Rules{CIDRDenyFile: Texts(c.path)}.Compile()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	big := file("")
	if err := os.Truncate(big, maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := (Rules{DenyFile: Texts(big)}).Compile(); err == nil || !strings.Contains(err.Error(), "larger than 64 MiB") {
		t.Error(err)
	}
}

func TestTooManyRules(t *testing.T) {
	data := []byte(strings.Repeat("::1\n", maxRules+1))
	if _, err := fileRules("x", data, true); err == nil || !strings.Contains(err.Error(), "x:1000001: more than 1000000 rules") {
		t.Error(err)
	}
}

func TestStoreReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nets")
	write(t, path, "10.0.0.0/8\n")
	s, err := NewStore(Rules{CIDRAllowFile: Texts(path)})
	if err != nil {
		t.Fatal(err)
	}
	try := func(step string, wantChanged bool, wantErr string, ten, eleven bool) {
		t.Helper()
		changed, err := s.Reload()
		if changed != wantChanged || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("%s: changed %v, error %v", step, changed, err)
		}
		p := s.Policy()
		if p.Early(ipPeer("10.0.0.1")).Allowed != ten || p.Early(ipPeer("11.0.0.1")).Allowed != eleven {
			t.Errorf("%s: the wrong rules are in force", step)
		}
	}
	try("nothing new", false, "", true, false)
	write(t, path, "11.0.0.0/8\n") // of the same size, in the same moment
	try("replaced", true, "", false, true)
	if err := os.WriteFile(path, []byte("10.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	try("written in place", true, "", true, false)
	write(t, path, "10.0.0.0/8\n10.0.0.0/99\n")
	try("broken", false, "new access rules rejected; the current ones stay: 99, as in '10.0.0.0/99', does not make sense", true, false)
	if s.Err() == nil {
		t.Error("Err is nil although the file is broken")
	}
	try("still broken", false, "", true, false) // and said once
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	try("gone", false, "the current ones stay", true, false)
	try("still gone", false, "", true, false)
	write(t, path, "11.0.0.0/8\n")
	try("back", true, "", false, true)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
	try("nothing new", false, "", false, true)
}

// Half a file is not believed: it would admit who is on the other half.
func TestHalfWrittenRuleFilesAreNotBelieved(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"emptied", "10.0.0.0/8\n", "", "is empty now, and held 1 rule:"},
		{"blank", "10.0.0.0/8\n11.0.0.0/8\n", "\n \n", "is empty now, and held 2 rules:"},
		{"cut in a line", "10.0.0.0/8\n192.0.2.0/24\n", "10.0.0.0/8\n192.0.2.0/2", "its last line no longer ends in a newline"},
		{"cut in the first line", "10.0.0.0/8\n", "10.0.0.0", "its last line no longer ends in a newline"},
		{"cut in a comment", "10.0.0.0/8\n# and\n", "10.0.0.0/8\n# an", "its last line no longer ends in a newline"},
		{"not followed by anything", "10.0.0.0/8\n", "10.0.0.0/8\n\x00\x00\x00\x00", "its last line no longer ends in a newline"},
		{"lifted", "10.0.0.0/8\n", "# nobody\n", ""},
		{"never had an end", "10.0.0.0/8", "11.0.0.0/8", ""},
		{"has an end now", "10.0.0.0/8", "11.0.0.0/8\n", ""},
		{"had nothing", "#\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "nets")
			write(t, path, c.before)
			s, err := NewStore(Rules{CIDRDenyFile: Texts(path), Allow: Texts(".*")})
			if err != nil {
				t.Fatal(err)
			}
			old := s.Policy()
			write(t, path, c.after)
			changed, err := s.Reload()
			if changed != (c.want == "") || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("changed %v, %v", changed, err)
			}
			if (s.Policy() == old) != (c.want != "") {
				t.Error("the wrong rules are in force")
			}
			if c.want == "" {
				return
			}
			write(t, path, c.after+"\n192.0.2.1\n") // it is there now
			if changed, err := s.Reload(); !changed && !strings.Contains(c.after, "\x00") {
				t.Errorf("once it is whole: %v", err)
			}
		})
	}
}

// A directory that was replaced is watched under its name, not as it was. The
// poll is too slow for this test to pass by it.
func TestFollowSeesReplacedDirectories(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, dir string){
		"renamed away and made again": func(t *testing.T, dir string) {
			if err := errors.Join(os.Rename(dir, dir+".old"), os.Mkdir(dir, 0o700)); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "nets"), "11.0.0.0/8\n")
		},
		"another one in its place": func(t *testing.T, dir string) {
			if err := os.Mkdir(dir+".new", 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir+".new", "nets"), "11.0.0.0/8\n")
			if err := errors.Join(os.Rename(dir, dir+".old"), os.Rename(dir+".new", dir)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "rules")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "nets")
			write(t, path, "10.0.0.0/8\n")
			s, err := NewStore(Rules{CIDRAllowFile: Texts(path)})
			if err != nil {
				t.Fatal(err)
			}
			f := follower{store: s, report: func(error) {}, quiet: time.NewTimer(time.Hour)}
			if f.watcher, err = fsnotify.NewWatcher(); err != nil {
				t.Fatal(err)
			}
			defer f.watcher.Close()
			f.watch()
			event := func() {
				t.Helper()
				select {
				case <-f.watcher.Events:
				case <-time.After(20 * time.Second):
					t.Fatal("no event")
				}
			}
			replace(t, dir)
			event()
			f.watch()
			f.reload()
			for len(f.watcher.Events) > 0 {
				<-f.watcher.Events
			}
			if !s.Policy().Early(ipPeer("11.0.0.1")).Allowed {
				t.Error("the new directory's rules are not in force")
			}
			if list := f.watcher.WatchList(); !slices.Contains(list, dir) {
				t.Fatalf("watched: %v", list)
			}
			write(t, path, "12.0.0.0/8\n")
			for !s.Policy().Early(ipPeer("12.0.0.1")).Allowed {
				event()
				f.reload()
			}
		})
	}
}

func TestStoreComparesContentWhileFresh(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nets")
	write(t, path, "10.0.0.0/8\n")
	now := time.Now()
	s, err := NewStore(Rules{CIDRAllowFile: Texts(path)})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	// Same size, same inode, same time: as two writes within one tick.
	if err := os.WriteFile(path, []byte("11.0.0.0/8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if time.Since(now) > freshness {
		t.Skip("the machine is too slow for this")
	}
	if changed, err := s.Reload(); !changed || err != nil {
		t.Errorf("changed %v, error %v", changed, err)
	}
	// An old file is not read again.
	if err := os.Chtimes(path, time.Time{}, now.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if s.files[0].fresh {
		t.Error("a file of an hour ago counts as fresh")
	}
}

// A file that has rested is looked at by what the system says of it: another
// file, another size or another time is a change.
func TestRestedFilesChange(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	write := func(path, text string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(path string){
		"":                  func(string) {},
		"another size":      func(p string) { write(p, "10.0.0.0/8\n10.1.0.0/16\n", old) },
		"another time":      func(p string) { write(p, "10.0.0.0/9\n", old.Add(time.Second)) },
		"another file":      func(p string) { write(p+"2", "10.0.0.0/9\n", old); os.Rename(p+"2", p) },
		"gone":              func(p string) { os.Remove(p) },
		"a link to nowhere": func(p string) { os.Remove(p); os.Symlink("nowhere", p) },
	} {
		path := filepath.Join(t.TempDir(), "rules")
		write(path, "10.0.0.0/8\n", old)
		_, state, err := readFile(path)
		if err != nil || state.fresh {
			t.Fatalf("%v, fresh %v", err, state.fresh)
		}
		change(path)
		if got := state.changed(); got != (name != "") {
			t.Errorf("%q: changed %v", name, got)
		}
	}
	path := filepath.Join(t.TempDir(), "later")
	_, state, _ := readFile(path)
	if state.changed() {
		t.Error("a file that is still not there has changed")
	}
	write(path, "", old)
	if !state.changed() {
		t.Error("a file that was not there has not changed")
	}
}

func TestStoreKeepsRelativePaths(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "nets", "10.0.0.0/8\n")
	s, err := NewStore(Rules{CIDRAllowFile: Texts("nets")})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("/")
	if changed, err := s.Reload(); changed || err != nil {
		t.Errorf("changed %v, error %v", changed, err)
	}
}

func TestStoreWithoutFiles(t *testing.T) {
	s, err := NewStore(Rules{Allow: Texts("x")})
	if err != nil {
		t.Fatal(err)
	}
	s.Follow(t.Context(), nil) // returns
	if changed, err := s.Reload(); changed || err != nil {
		t.Errorf("changed %v, error %v", changed, err)
	}
	if _, err := NewStore(Rules{Allow: Texts("(")}); err == nil {
		t.Error("accepted")
	}
}

// TestFollow changes a file under clients that are being decided on.
func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "nets")
	write(t, path, "10.0.0.0/8\n")
	s, err := NewStore(Rules{CIDRAllowFile: Texts(path)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	reports := make(chan error, 100)
	var wg sync.WaitGroup
	wg.Go(func() { s.Follow(ctx, func(err error) { reports <- err }) })
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				// One of the two is admitted, never both, never none.
				p := s.Policy()
				if p.Early(ipPeer("10.0.0.1")).Allowed == p.Early(ipPeer("11.0.0.1")).Allowed {
					t.Error("a policy is half of two")
					return
				}
			}
		})
	}
	next := func() error {
		t.Helper()
		select {
		case err := <-reports:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("no report")
			return nil
		}
	}
	for i := range 3 {
		write(t, path, fmt.Sprintf("%d.0.0.0/8\n", 11-i%2))
		if err := next(); err != nil {
			t.Error(err)
		}
	}
	write(t, path, "broken\n")
	if err := next(); err == nil {
		t.Error("a broken file was taken")
	}
	close(stop)
	cancel()
	wg.Wait()
}

func TestManyLinesAreFast(t *testing.T) {
	rules, _ := manyNetworks(200_000, false)
	path := filepath.Join(t.TempDir(), "nets")
	write(t, path, strings.Join(rules, "\n"))
	begin := time.Now()
	p := compile(t, Rules{CIDRDenyFile: Texts(path)})
	t.Logf("200,000 lines in %v", time.Since(begin))
	if p.enforced.cidrDeny.names[199_999] != fmt.Sprintf("cidr_deny %s (%s:200000)", rules[199_999], path) {
		t.Error(p.enforced.cidrDeny.names[199_999])
	}
	// Eight times the rules must take about as long as a few eight times, not
	// eight times that. Other programs delay both alike.
	vals := Texts(rules...)
	few := fastest3(func() {
		for range 8 {
			compile(t, Rules{CIDRDeny: vals[:12_500]})
		}
	})
	many := fastest3(func() { compile(t, Rules{CIDRDeny: vals[:100_000]}) })
	if many > 4*few {
		t.Errorf("12,500 rules take %v eight times, 100,000 take %v", few, many)
	}
}

func TestFileRulesOrigin(t *testing.T) {
	vals, err := fileRules("f", []byte("a\n\n#\nb"), false)
	if err != nil || len(vals) != 2 {
		t.Fatal(vals, err)
	}
	if want := (conf.Value{Text: "b", Origin: conf.Origin{Source: conf.SourceFile, File: "f", Line: 4}}); vals[1] != want {
		t.Errorf("%+v", vals[1])
	}
}
