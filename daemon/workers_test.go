package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/wire"
	"netserver/tlsparams"
)

// The original's own results, and what is used where it ends with an error.
func TestScaleFitsTogether(t *testing.T) {
	for _, tc := range []struct {
		min, max, minSpare, maxSpare int // 0 is not given
		want                         string
		note                         string
	}{
		{0, 0, 0, 0, "5 50 5 10", ""},
		{0, 6, 0, 0, "5 6 5 5", ""},
		{0, 10, 0, 0, "5 10 5 9", ""},
		{0, 12, 0, 0, "5 12 5 10", ""},
		{1, 0, 0, 0, "1 50 1 10", ""},
		{10, 0, 0, 0, "10 50 10 10", ""},
		{20, 80, 10, 15, "20 80 10 15", ""},
		// The original: fatal.
		{0, 4, 0, 0, "4 4 3 3", ""},
		{0, 5, 0, 0, "5 5 4 4", ""},
		{1, 1, 0, 0, "1 1 1 1", ""},
		{1, 3, 0, 0, "1 3 1 2", ""},
		{20, 80, 0, 0, "20 80 10 10", ""},
		{9, 5, 0, 0, "5 5 4 4", "min_servers 9 is above max_servers: 5 is used"},
		{2, 10, 4, 0, "2 10 2 9", "min_spare_servers 4 is above min_servers: 2 is used"},
		{2, 10, 0, 20, "2 10 2 9", "max_spare_servers 20 is above max_servers less one: 9 is used"},
		// The original takes min_servers 4; it was given as 2.
		{2, 4, 1, 2, "2 4 1 2", ""},
	} {
		c := &Config{Type: typePreFork, Workers: WorkersConfig{Min: tc.min, MinSpare: tc.minSpare, MaxSpare: tc.maxSpare}}
		c.Server.MaxServing = tc.max
		s, notes := c.scale()
		if got := fmt.Sprint(s.min, s.max, s.minSpare, s.maxSpare); got != tc.want || strings.Join(notes, ";") != tc.note {
			t.Errorf("%+v: %s %q", tc, got, notes)
		}
		if s.minSpare > s.maxSpare || s.min > s.max || s.minSpare > s.min {
			t.Errorf("%+v: %+v does not fit together", tc, s)
		}
	}
}

func TestScaleWants(t *testing.T) {
	s := scale{min: 3, max: 8, minSpare: 2, maxSpare: 4, clients: 1, dynamic: true, surplus: 10 * time.Second, minLife: 10 * time.Second}
	long, short := time.Minute, time.Second
	for _, tc := range []struct {
		c          census
		start, end int
	}{
		{census{}, 3, 0},
		{census{waiting: 3}, 0, 0},
		{census{waiting: 2}, 1, 0},
		{census{waiting: 2, busy: 1}, 0, 0},
		{census{waiting: 1, busy: 2}, 1, 0},
		{census{waiting: 1, starting: 1, busy: 2}, 0, 0},
		{census{waiting: 0, busy: 7}, 1, 0},
		{census{waiting: 0, busy: 8}, 0, 0},
		{census{waiting: 2, busy: 8, sinceLook: short}, 0, 2}, // TTOU
		{census{waiting: 6, busy: 1, sinceLook: long, sinceStart: long}, 0, 2},
		{census{waiting: 6, busy: 1, sinceLook: short, sinceStart: long}, 0, 0},
		{census{waiting: 6, busy: 1, sinceLook: long, sinceStart: short}, 0, 0},
		{census{waiting: 4, busy: 1, sinceLook: long, sinceStart: long}, 0, 0},
	} {
		if start, end := s.want(tc.c); start != tc.start || end != tc.end {
			t.Errorf("%+v: start %d, end %d", tc, start, end)
		}
	}
	fixed := scale{min: 4, max: 4, clients: 1}
	if start, end := fixed.want(census{busy: 4, waiting: 2}); start != 0 || end != 2 {
		t.Errorf("start %d, end %d of a fixed number", start, end)
	}
}

// Whatever the census, the rules keep the bounds and never start and end at
// once.
func TestScaleKeepsBounds(t *testing.T) {
	for _, s := range []scale{
		{min: 1, max: 1, minSpare: 1, maxSpare: 1, dynamic: true},
		{min: 3, max: 8, minSpare: 2, maxSpare: 4, dynamic: true},
		{min: 4, max: 4},
	} {
		for i := range 12 * 12 * 12 {
			c := census{waiting: i % 12, busy: i / 12 % 12, starting: i / 144, sinceLook: time.Hour, sinceStart: time.Hour}
			start, end := s.want(c)
			total := c.waiting + c.busy + c.starting
			if start < 0 || end < 0 || start > 0 && end > 0 || start > 0 && total+start > s.max || end > 0 && total-end < s.min {
				t.Fatalf("%+v, %+v: start %d, end %d", s, c, start, end)
			}
		}
	}
}

func TestAllowedFiles(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		os.Chmod(d, 0o755)
	}
	named := filepath.Join(dir, "allow")
	os.WriteFile(named, []byte("# comment\ncn ann\n"), 0o600)
	a := &allowed{Handout: new(tlsparams.Handout), uid: func() (int, []int) { return 65534, []int{65534} }}
	a.Add(tlsparams.Params{CertDir: dir, Client: tlsparams.Client{AllowFiles: []string{named, dir + "/gone"}}})
	for _, path := range []string{"/etc/shadow", dir + "/../../etc/shadow", dir + "2/x.pem", dir + "/.x.pem", dir + "/x", "etc/hostname", "/", ""} {
		if b, err := a.read(path, true); err == nil || err.Error() != wire.ReadItself {
			t.Errorf("%q: %q, %v", path, b, err)
		}
	}
	if b, err := a.read(named, true); string(b) != "cn ann\n" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := a.read(dir+"/gone", false); err == nil || err.Error() == wire.ReadItself {
		t.Errorf("a file that is named: %v", err)
	}
	os.Remove(named)
	os.Symlink("/etc/passwd", named)
	if b, err := a.read(named, true); b != nil || err == nil || !strings.HasPrefix(err.Error(), wire.Unusable) || strings.Contains(err.Error(), "root") {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := a.list(dir); string(b) != `[{"Name":"allow","Dir":false,"Gone":false}]` {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := a.list("/etc"); err == nil || err.Error() != wire.ReadItself {
		t.Errorf("%q, %v", b, err)
	}
	a.uid = func() (int, []int) { return -1, nil }
	if _, err := a.read(named, false); err == nil || err.Error() != wire.ReadItself {
		t.Errorf("for a worker of the same user: %v", err)
	}
}

func TestLimiterSlowsDown(t *testing.T) {
	l := limiter{perSecond: 10}
	began := time.Now()
	for range 25 {
		l.wait()
	}
	if d := time.Since(began); d < 900*time.Millisecond {
		t.Errorf("25 of 10 a second took %v", d)
	}
}

// A zero that is given is one, and not the default.
func TestScaleOfZeros(t *testing.T) {
	c := &Config{Type: typePreFork}
	set := new(conf.Set)
	c.Workers.define(set)
	layer := conf.LayerOf(conf.SourceArgs, conf.Values{})
	for key, text := range map[string]string{"check_for_waiting": "0", "min_child_ttl": "0", "min_servers": "1", "min_spare_servers": "0", "max_spare_servers": "1"} {
		layer.Entries = append(layer.Entries, conf.Entry{Key: key, Values: []conf.Value{{Text: text}}})
	}
	if _, err := set.Resolve(layer); err != nil {
		t.Fatal(err)
	}
	c.Server.MaxServing = 9
	want := scale{min: 1, max: 9, maxSpare: 1, clients: 1, requests: 1000, dynamic: true, surplus: 1, minLife: 1, grows: growsProcesses}
	if got, _ := c.scale(); got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
}
