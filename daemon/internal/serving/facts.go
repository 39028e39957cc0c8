package serving

import (
	"slices"

	"netserver/handler/proxy"
)

// Facts states what of the keys' conditions holds of services, which are all
// that clients of the server or of a port can come to. While something is wrong
// with them everything holds: what is meant is not known.
func (s *Services) Facts(list []*Service) map[string]bool {
	has := make(map[string]bool)
	backends, _ := s.backendConfigs() // what is wrong with them has been said
	checked := func(name string) bool {
		return slices.ContainsFunc(backends, func(b *backendConfig) bool {
			return b.Name == name && b.Check.Kind != proxy.CheckOff
		})
	}
	for _, name := range ServiceFacts() {
		has[name] = s.faulty
	}
	for _, one := range list {
		switch one.kind {
		case runs:
			has[FactPrograms] = has[FactPrograms] || !one.web()
			has[FactRuns], has[FactStarted] = true, true
		case dispatches:
			has[FactApps], has[FactRuns], has[FactStarted] = true, true, true
		case proxies:
			has[FactProxies] = true
			has[FactChecked] = has[FactChecked] || one.byName() && checked(one.Backend)
		case echoes:
			has[FactEchoes] = has[FactEchoes] || !one.web()
			if one.echoesLines() {
				has[FactLines], has[FactReads] = true, true
			}
		}
		has[FactWeb] = has[FactWeb] || one.web()
		has[FactScripts] = has[FactScripts] || one.scripts()
	}
	return has
}

// ServiceFacts returns the names of the facts that Facts states.
func ServiceFacts() []string {
	return []string{FactPrograms, FactRuns, FactProxies, FactChecked, FactEchoes, FactLines, FactReads, FactWeb, FactApps, FactScripts, FactStarted}
}

// Echoes reports whether the key echo of the whole server has an effect.
func (s *Services) Echoes() bool { return s.Shared() && s.server.is(echoes) && !s.server.web() }

// HandsSockets reports whether clients are handed to a program with their
// socket.
func (s *Service) HandsSockets() bool {
	return slices.ContainsFunc(s.Leaves(), func(one *Service) bool {
		return one.kind == runs && !one.web() && !one.ExecPipes && one.ExecSpare <= 0 && !one.Exec.PTY
	})
}

// HasSessions reports whether the datagrams of a client are one client, of which
// those of no service but proxies are.
func (s *Service) HasSessions() bool {
	return !slices.ContainsFunc(s.Leaves(), func(one *Service) bool {
		return one.kind != refuses && (one.kind != proxies || one.MaxSessions < 0)
	})
}
