package tickets

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/chacha20poly1305"
)

// NameSize is the length of a key's name, which stands in front of its
// tickets, as in OpenSSL's.
const NameSize = 16

const (
	timeSize  = 8
	headSize  = NameSize + timeSize + chacha20poly1305.NonceSizeX
	clockSkew = 2 * time.Minute // between machines that share keys
)

// A key seals tickets. Nonces are random and 24 bytes long, so that a key may
// seal any number.
type key struct {
	name [NameSize]byte
	raw  [chacha20poly1305.KeySize]byte
	made time.Time // for keys that rotate
}

// A Lookup finds keys elsewhere, as SSL_ticket_keycb: without a name it
// returns the current key and its name; with one, that key and the name of the
// current one, or no key if it is unknown. Keys are 32 bytes, names 16.
type Lookup func(name []byte) (key, current []byte, err error)

// A Keeper holds ticket keys. The zero Keeper makes keys of its own, changes
// them every half Life and forgets them once no ticket of theirs can be
// valid. It is safe for concurrent use; set its fields before that.
type Keeper struct {
	Life   time.Duration // of a ticket; 0 means a day
	Lookup Lookup        // if set, the only source of keys

	mu      sync.RWMutex
	files   []key     // from SetKeys; the first seals
	own     []key     // newest first
	secrets []*secret // from SetSecrets; the first seals
}

// LogValue hides the keys.
func (*Keeper) LogValue() slog.Value { return slog.StringValue("ticket keys") }

// String hides the keys.
func (*Keeper) String() string { return "ticket keys" }

// GoString hides the keys.
func (*Keeper) GoString() string { return "ticket keys" }

func (k *Keeper) life() time.Duration {
	if k.Life <= 0 {
		return 24 * time.Hour
	}
	return k.Life
}

// SetKeys gives the keys that ParseKeys has read, in place of those before.
func (k *Keeper) SetKeys(materials [][]byte) error {
	var keys []key
	for _, m := range materials {
		nk, err := derive(m, "netserver ticket key file")
		if err != nil {
			return err
		}
		keys = append(keys, nk)
	}
	k.mu.Lock()
	k.files = keys
	k.mu.Unlock()
	return nil
}

func derive(secret []byte, info string) (key, error) {
	out, err := hkdf.Key(sha256.New, secret, nil, info, NameSize+chacha20poly1305.KeySize)
	if err != nil {
		return key{}, err
	}
	var k key
	copy(k.name[:], out)
	copy(k.raw[:], out[NameSize:])
	clear(out)
	return k, nil
}

// Seal makes a ticket of plain.
func (k *Keeper) Seal(plain, binding []byte, now time.Time) ([]byte, error) {
	cur, err := k.current(now)
	if err != nil {
		return nil, err
	}
	ticket := make([]byte, headSize, headSize+len(plain)+chacha20poly1305.Overhead)
	copy(ticket, cur.name[:])
	binary.BigEndian.PutUint64(ticket[NameSize:], uint64(now.Unix()))
	rand.Read(ticket[NameSize+timeSize:])
	aead, err := chacha20poly1305.NewX(cur.raw[:])
	if err != nil {
		return nil, err
	}
	return aead.Seal(ticket, ticket[NameSize+timeSize:headSize], plain, associated(ticket, binding)), nil
}

// Open returns what was sealed, or nil if the ticket is not from here, too
// old, damaged, or was sealed with another binding. Past allows keys of the
// secrets of the past.
func (k *Keeper) Open(ticket, binding []byte, now time.Time, past bool) []byte {
	if len(ticket) < headSize+chacha20poly1305.Overhead {
		return nil
	}
	age := now.Sub(time.Unix(int64(binary.BigEndian.Uint64(ticket[NameSize:])), 0))
	if age > k.life() || age < -clockSkew {
		return nil
	}
	found, ok := k.find(ticket[:NameSize], now, past)
	if !ok {
		return nil
	}
	aead, err := chacha20poly1305.NewX(found.raw[:])
	if err != nil {
		return nil
	}
	plain, err := aead.Open(nil, ticket[NameSize+timeSize:headSize], ticket[headSize:], associated(ticket, binding))
	if err != nil {
		return nil
	}
	return plain
}

func associated(ticket, binding []byte) []byte {
	return append(slices.Clone(ticket[:NameSize+timeSize]), binding...)
}

var errKey = errors.New("session tickets: the key function returned no key of 32 bytes with a name of 16")

func (k *Keeper) current(now time.Time) (key, error) {
	switch {
	case k.Lookup != nil:
		raw, name, err := k.Lookup(nil)
		if err != nil {
			return key{}, err
		}
		return given(raw, name)
	case k.hasFiles():
		k.mu.RLock()
		defer k.mu.RUnlock()
		return k.files[0], nil
	}
	if list := k.derived(false); len(list) > 0 {
		return list[0].at(k.epoch(now))
	}
	return k.rotate(now), nil
}

func given(raw, name []byte) (key, error) {
	var out key
	if len(raw) != len(out.raw) || len(name) != NameSize {
		return key{}, errKey
	}
	copy(out.raw[:], raw)
	copy(out.name[:], name)
	return out, nil
}

func (k *Keeper) hasFiles() bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return len(k.files) > 0
}

func (k *Keeper) find(name []byte, now time.Time, past bool) (key, bool) {
	if k.Lookup != nil {
		raw, _, err := k.Lookup(slices.Clone(name))
		if err != nil || raw == nil {
			return key{}, false
		}
		found, err := given(raw, name)
		return found, err == nil
	}
	if !k.hasFiles() {
		for _, s := range k.derived(past) {
			if c, ok := s.find(name, k.epoch(now)); ok {
				return c, true
			}
		}
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, list := range [][]key{k.files, k.own} {
		for _, c := range list {
			if string(c.name[:]) == string(name) {
				return c, true
			}
		}
	}
	return key{}, false
}

func (k *Keeper) epoch(now time.Time) int64 {
	return now.Unix() / max(1, int64(k.life()/(2*time.Second)))
}

// rotate returns the newest key of its own, making one if it is due.
func (k *Keeper) rotate(now time.Time) key {
	due := func() bool {
		return len(k.own) == 0 || now.Sub(k.own[0].made) >= k.life()/2
	}
	k.mu.RLock()
	if !due() {
		defer k.mu.RUnlock()
		return k.own[0]
	}
	k.mu.RUnlock()
	k.mu.Lock()
	defer k.mu.Unlock()
	if due() {
		n := key{made: now}
		rand.Read(n.name[:])
		rand.Read(n.raw[:])
		k.own = slices.Insert(k.own, 0, n)
		// A key seals for half a life, its last ticket lives a whole one.
		k.own = slices.DeleteFunc(k.own, func(o key) bool { return now.Sub(o.made) > k.life()*3/2 })
	}
	return k.own[0]
}
