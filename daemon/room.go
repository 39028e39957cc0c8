package daemon

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"netserver/conf"
	"netserver/internal/proc"
)

// What a process that serves clients needs before it has any.
const (
	ownDescriptors = 32        // beside its ports
	ownThreads     = 24        // beside two for each CPU
	ownAddresses   = 256 << 20 // beside what the supervisor's start took
	// addressSpread is more than one start takes beyond another, by its threads:
	// what is told to suffice does at each.
	addressSpread = 512 << 20
)

// room refuses limits that are too low for the process itself: it would crash,
// and drop its clients, when it needs a thread or memory.
func (p *program) room() error {
	var errs []error
	for _, l := range p.conf.Process.Limits {
		if l.Value < 0 {
			continue
		}
		var least, told int64
		var why string
		switch l.Name {
		case "nofile":
			least = int64(len(p.conf.Server.Ports) + ownDescriptors)
			why = "its ports and its own files"
		case "as":
			now, ok := proc.AddressSpace()
			if !ok {
				continue
			}
			least = now + ownAddresses
			told = enoughAddresses(least)
			why = "the addresses that it reserves, most of which it never uses; max_memory bounds what it uses"
		case "nproc":
			least, why = p.threads(l)
		}
		if l.Value < least {
			told = max(told, least)
			errs = append(errs, &conf.Problem{
				Key: "limit_" + l.Name, Err: fmt.Errorf("%d leaves no room for a process that serves clients: it needs at least %d, for %s", l.Value, told, why),
				Hint: "set more, or leave it out",
			})
		}
	}
	return errors.Join(errs...)
}

// enoughAddresses returns a round figure that suffices at every start, if one
// start needs least.
func enoughAddresses(least int64) int64 { return (least/addressSpread + 2) * addressSpread }

// threads returns the least limit of the user's processes and threads, and
// warns where programs could take what the server needs of it.
func (p *program) threads(l ResourceLimit) (least int64, why string) {
	uid, user := os.Geteuid(), "its user"
	if a := p.conf.identity.Account; a != nil {
		uid, user = a.UID, "user "+a.User
	}
	used, ok := proc.Tasks(uid)
	if uid == 0 || !ok {
		return 0, "" // root is not bound by it
	}
	least = int64(used + ownThreads + 2*runtime.NumCPU())
	if n := p.conf.Server.Limits.MaxServing; p.conf.services.RunPrograms() && l.Value >= least && l.Value < least+int64(n) {
		p.warnings = append(p.warnings, fmt.Sprintf("limit_nproc %d is less than the %d that %s needs for %d programs at once (max_servers) and the server's own threads: when it is reached the server may end; set more, or max_servers lower", l.Value, least+int64(n), user, n))
	}
	return least, fmt.Sprintf("threads, beside the %d processes and threads that %s has now", used, user)
}
