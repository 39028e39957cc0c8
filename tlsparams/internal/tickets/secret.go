package tickets

import (
	"bytes"
	"strconv"
	"sync"
)

// A secret is what keys are derived from by the time: the same in every
// process that has it.
type secret struct {
	raw []byte

	mu   sync.Mutex
	keys map[int64]key // by epoch, of those around now
}

// Epochs in which tickets of now can have been sealed: a ticket is valid for
// two, and the clocks of machines differ.
const (
	epochsAhead  = 1
	epochsBehind = 3
)

// SetSecrets has keys be derived from current and the time. Keys of past open
// tickets, if Open allows that, and seal none. Both take the place of those
// before.
func (k *Keeper) SetSecrets(current []byte, past ...[]byte) {
	list := []*secret{{raw: bytes.Clone(current)}}
	for _, p := range past {
		list = append(list, &secret{raw: bytes.Clone(p)})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.secrets = list
}

// derived returns the secrets, or the first alone.
func (k *Keeper) derived(past bool) []*secret {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if past || len(k.secrets) == 0 {
		return k.secrets
	}
	return k.secrets[:1]
}

// at returns the key of epoch n.
func (s *secret) at(n int64) (key, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.keys[n]; ok {
		return c, nil
	}
	c, err := derive(s.raw, "netserver ticket key epoch "+strconv.FormatInt(n, 10))
	if err != nil {
		return key{}, err
	}
	if s.keys == nil || len(s.keys) > 2*(epochsAhead+epochsBehind+1) {
		s.keys = make(map[int64]key)
	}
	s.keys[n] = c
	return c, nil
}

// find returns the key with that name among those around epoch now.
func (s *secret) find(name []byte, now int64) (key, bool) {
	for n := now + epochsAhead; n >= now-epochsBehind; n-- {
		if c, err := s.at(n); err == nil && string(c.name[:]) == string(name) {
			return c, true
		}
	}
	return key{}, false
}
