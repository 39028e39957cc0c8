package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"netserver/conf"
	"netserver/daemon/internal/wire"
)

// A fakeJobs is a supervisor whose jobs are only counted.
type fakeJobs struct {
	*supervisor
	began  time.Time
	starts []string // seconds since the beginning
	fails  bool
}

func newFakeJobs(c Settings) *fakeJobs {
	f := &fakeJobs{began: time.Now(), supervisor: &supervisor{
		conf: &c, log: slog.New(slog.DiscardHandler), calls: make(chan func()), quit: make(chan struct{}),
	}}
	f.jobs.running = make(map[*job]struct{})
	f.jobs.start = func() error {
		f.starts = append(f.starts, fmt.Sprint(time.Since(f.began).Seconds()))
		if f.fails {
			return errors.New("cannot fork")
		}
		f.jobs.running[new(job)] = struct{}{}
		return nil
	}
	return f
}

// run does what the supervisor's loop does, for a time.
func (f *fakeJobs) run(d time.Duration) {
	end := time.After(d)
	for {
		select {
		case call := <-f.calls:
			call()
		case <-end:
			return
		}
	}
}

func (f *fakeJobs) finish(n int) {
	for j := range f.jobs.running {
		if n--; n < 0 {
			return
		}
		delete(f.jobs.running, j)
	}
}

// stop ends the timer before the bubble does.
func (f *fakeJobs) stop() {
	f.ending = true
	f.scheduleJobs()
	close(f.quit)
}

func TestJobSchedule(t *testing.T) {
	second := time.Second
	for _, tc := range []struct {
		name string
		conf Settings
		do   func(*fakeJobs)
		want string
	}{
		{"none without a number", Settings{JobEvery: second}, func(f *fakeJobs) { f.run(time.Minute) }, ""},
		{"none without a time", Settings{JobMax: 1}, func(f *fakeJobs) { f.run(time.Minute) }, ""},
		{"the first after a while, then no more than may run", Settings{JobEvery: 10 * second, JobMax: 2},
			func(f *fakeJobs) { f.run(65 * second) }, "10 20"},
		{"those that were due meanwhile are not made up for", Settings{JobEvery: 10 * second, JobMax: 1},
			func(f *fakeJobs) { f.run(45 * second); f.finish(1); f.run(10 * second) }, "10 50"},
		{"a restart does not put the next one off", Settings{JobEvery: 10 * second, JobMax: 9}, func(f *fakeJobs) {
			for range 5 {
				f.run(7 * second)
				f.scheduleJobs()
			}
		}, "10 20 30"},
		{"a shorter time that has passed already", Settings{JobEvery: 100 * second, JobMax: 9}, func(f *fakeJobs) {
			f.run(50 * second)
			f.conf = &Settings{JobEvery: 20 * second, JobMax: 9}
			f.scheduleJobs()
			f.run(45 * second)
		}, "50 70 90"},
		{"a restart without jobs", Settings{JobEvery: 10 * second, JobMax: 9}, func(f *fakeJobs) {
			f.run(15 * second)
			f.conf = &Settings{}
			f.scheduleJobs()
			f.run(time.Minute)
		}, "10"},
		{"a loop that was late starts one, not all that were due", Settings{JobEvery: 10 * second, JobMax: 9}, func(f *fakeJobs) {
			time.Sleep(95 * time.Second) // nobody takes calls
			f.run(16 * second)
		}, "95 105"},
		{"a failing start keeps the time", Settings{JobEvery: 10 * second, JobMax: 9}, func(f *fakeJobs) {
			f.fails = true
			f.run(35 * second)
		}, "10 20 30"},
		{"none at the end", Settings{JobEvery: 10 * second, JobMax: 9}, func(f *fakeJobs) {
			f.run(15 * second)
			f.ending = true
			f.endJobsForTest()
			f.run(time.Minute)
		}, "10"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFakeJobs(tc.conf)
				f.scheduleJobs()
				tc.do(f)
				f.stop()
				if got := strings.Join(f.starts, " "); got != tc.want {
					t.Errorf("started after %s s, not %s", got, tc.want)
				}
			})
		})
	}
}

// endJobsForTest ends what no process is behind.
func (f *fakeJobs) endJobsForTest() {
	clear(f.jobs.running)
	f.endJobs(false)
}

func TestJobPlanHasNoSecrets(t *testing.T) {
	v := make(map[string][]string)
	v["SSL_key_password"] = []string{"secret"}
	v["max_dequeue"] = []string{"1"}
	pl := &wire.Plan{Values: make(map[string][]conf.Value)}
	for k, texts := range v {
		pl.Values[k] = []conf.Value{{Text: texts[0]}}
	}
	pl.Files = []string{"/etc/key.pem"}
	p := jobPlan(pl)
	if len(p.Values) != 1 || len(p.Values["max_dequeue"]) != 1 || len(p.Files)+len(p.Ports)+len(p.Blocks) > 0 || len(pl.Values) != 2 {
		t.Errorf("%+v of %+v", p, pl)
	}
}
