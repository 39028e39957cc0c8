package signer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"sync"
)

// A Ring holds numbered private keys. The zero Ring is empty. It is safe for
// concurrent use.
type Ring struct {
	mu   sync.RWMutex
	last uint32
	keys map[uint32]*held
	ids  map[identity]uint32
}

// Keys with equal identities are the same key.
type identity struct {
	sum [32]byte // of the public key
	use Use
}

// A held is a key in a Ring.
type held struct {
	key  crypto.Signer
	pub  crypto.PublicKey
	use  Use
	fast bool // signing is cheaper than handing it to another goroutine
	name identity
	uses int
}

// Add adds a key to the Ring and returns its number. The same key for the same
// use gets the same number again, and must be dropped as many times.
func (r *Ring) Add(key crypto.Signer, use Use) (uint32, error) {
	pub := key.Public()
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return 0, fmt.Errorf("signer: unsupported kind of key: %w", err)
	}
	name := identity{sha256.Sum256(der), use}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.ids[name]; ok {
		r.keys[id].uses++
		return id, nil
	}
	if r.keys == nil {
		r.keys, r.ids = make(map[uint32]*held), make(map[identity]uint32)
	}
	r.last++
	r.keys[r.last] = &held{key: key, pub: pub, use: use, fast: isFast(pub), name: name, uses: 1}
	r.ids[name] = r.last
	return r.last, nil
}

// Drop undoes one Add.
func (r *Ring) Drop(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := r.keys[id]
	if k == nil {
		return
	}
	if k.uses--; k.uses == 0 {
		delete(r.keys, id)
		delete(r.ids, k.name)
	}
}

// Len returns how many keys there are.
func (r *Ring) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.keys)
}

func (r *Ring) find(id uint32) *held {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.keys[id]
}

func isFast(pub crypto.PublicKey) bool {
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		return pub.Curve == elliptic.P256()
	case ed25519.PublicKey:
		return true
	}
	return false
}
