package serving

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"netserver/conf"
	"netserver/handler/proxy"
)

// A backendConfig is one [[backend]]: targets under a name, which ports and
// routes share. What it does not say itself the keys of the whole server say.
type backendConfig struct {
	Name        string
	Targets     []proxy.Target
	TargetsFile string
	Balance     proxy.Balance
	Check       proxy.Check
	SlowStart   time.Duration
	Queue       int
	QueueTime   time.Duration
	Resolve     time.Duration
	Dial        DialConfig

	at     conf.Origin
	faulty bool // something is wrong with it, which has been said
	values conf.Values
}

// KeyTargetsFile is the key of a file of targets.
const KeyTargetsFile = "targets_file"

// define defines the keys of a [[backend]].
func (b *backendConfig) define(s *conf.Set) {
	def := func(when conf.When, name, arg, value, help string, bind conf.Binder) {
		s.Define(conf.Key{Name: name, When: when, Arg: arg, Default: value, Help: help}, bind)
	}
	s.Define(conf.Key{Name: "name", When: conf.Always, Required: true, Arg: "NAME", Help: "by which ports and routes name it: backend = NAME"}, conf.String(&b.Name))
	s.Define(conf.Key{Name: "targets", When: conf.Always, Arg: "TARGET", List: true, Help: "host:port, a UNIX socket's path, or srv:_service._tcp.domain, whose SRV records name hosts; after it any of weight=N, max=N (clients at once) and backup. Each address of a name is a target"},
		conf.Func(b.setTargets))
	def(conf.Always, KeyTargetsFile, "FILE", "", "more targets, one a line, followed: a new version is used at once, and one with a mistake in it, or half written, is rejected", conf.String(&b.TargetsFile))
	def(conf.Always, "balance", "round_robin|least|source|priority", "round_robin", "which target that is up a client gets: each its share in turn, the one with the fewest clients for its weight, always the same for its address, or the first of the list", conf.Func(b.setBalance))
	def(conf.Always, "check", "CHECK", "off", `how targets are checked: off, tcp, tls, "http GET /path 200", "expect +OK", or 'send "PING\r\n" expect +PONG'. Whatever it is, a target that a client could not be connected to gets no more until connecting succeeds`, conf.Func(b.setCheck))
	def("check", "check_interval", "SECONDS", "10", "between two checks of a target, and a quarter of it while they say something new", conf.Seconds(&b.Check.Interval, time.Millisecond, time.Hour))
	def("check", "check_timeout", "SECONDS", "2", "for one check", conf.Seconds(&b.Check.Timeout, time.Millisecond, time.Minute))
	def("check", "check_rise", "N", "2", "checks in a row that succeed until a target that is down is up", conf.Int(&b.Check.Rise, 1, 100))
	def("check", "check_fall", "N", "3", "checks in a row that fail until a target that is up is down", conf.Int(&b.Check.Fall, 1, 100))
	def(conf.Always, "slow_start", "SECONDS", "0", "in which a target that was down gets its full share of clients again", conf.Seconds(&b.SlowStart, 0, 24*time.Hour))
	def(conf.Always, "queue", "N", "1000", "clients that may wait while each target has its max; -1 for none", conf.Int(&b.Queue, -1, 1<<20))
	def(conf.Always, "queue_time", "SECONDS", "5", "for which a client waits", conf.Seconds(&b.QueueTime, time.Millisecond, time.Hour))
	def(conf.Always, "resolve_interval", "SECONDS", "30", "between two look-ups of a name in targets. How long an answer is valid (TTL) is not known here; when a look-up fails, the last good addresses stay", conf.Seconds(&b.Resolve, 10*time.Millisecond, 24*time.Hour))
	b.Dial.define(func(k conf.Key, bind conf.Binder) {
		k.Inherits = true
		s.Define(k, bind)
	})
}

func (b *backendConfig) setTargets(vals []conf.Value) error {
	b.Targets = nil
	for _, v := range vals {
		t, err := proxy.ParseTarget(v.Text)
		if err != nil {
			return v.Errorf("%q: %v", v.Text, errors.Unwrap(err))
		}
		b.Targets = append(b.Targets, t)
	}
	return nil
}

func (b *backendConfig) setBalance(vals []conf.Value) (err error) {
	v := vals[len(vals)-1]
	if b.Balance, err = proxy.ParseBalance(v.Text); err != nil {
		return v.Errorf("%v", err)
	}
	return nil
}

func (b *backendConfig) setCheck(vals []conf.Value) error {
	v := vals[len(vals)-1]
	c, err := proxy.ParseCheck(v.Text)
	if err != nil {
		return v.Errorf("%q: %v", v.Text, errors.Unwrap(err))
	}
	c.Interval, c.Timeout, c.Rise, c.Fall = b.Check.Interval, b.Check.Timeout, b.Check.Rise, b.Check.Fall
	b.Check = c
	return nil
}

// check reports what of b has no effect, or is missing.
func (b *backendConfig) check() error {
	has := func(f func(proxy.Target) bool) bool {
		return b.TargetsFile != "" || slices.ContainsFunc(b.Targets, f)
	}
	switch {
	case len(b.Targets) == 0 && b.TargetsFile == "":
		return &conf.Problem{Origin: b.at, Err: fmt.Errorf("the [[backend]] %s has neither targets nor %s", b.Name, KeyTargetsFile)}
	case len(b.values["resolve_interval"]) > 0 && !has(proxy.Target.Named):
		return b.idle("resolve_interval", "no target is a name")
	}
	for _, key := range []string{"queue", "queue_time"} {
		if len(b.values[key]) > 0 && !has(func(t proxy.Target) bool { return t.Max > 0 || t.Named() }) {
			return b.idle(key, "no target has a max")
		}
	}
	return nil
}

func (b *backendConfig) idle(key, why string) error {
	return &conf.Problem{Origin: origin(b.values[key]), Err: fmt.Errorf("%s has no effect: %s", key, why)}
}
