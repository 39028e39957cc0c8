package wire

import (
	"errors"
	"fmt"
	"time"

	"netserver/cluster"
)

// What the supervisor has in the store of the cluster itself: certificates and
// what belongs to them. It seals them; the cluster process carries bytes that it
// can neither read nor make.
const (
	OpKeep = "keep" // to the cluster process: do this in the store
	OpKept = "kept" // from it: what came of the one with the same ID
)

// Verbs of a Keep.
const (
	KeepGet    = "get"
	KeepPut    = "put"
	KeepSet    = "set"
	KeepDelete = "delete"
	// KeepWatch has what is there below Key told, and all changes, until another
	// is asked for. It is answered again and again, the last time with Failed.
	KeepWatch = "watch"
)

// A Keep is a call of a cluster.Store.
type Keep struct {
	Verb string
	Key  string
	Data []byte        `json:",omitempty"`
	Rev  uint64        `json:",omitempty"`
	TTL  time.Duration `json:",omitempty"`
}

// A Kept is what came of a Keep.
type Kept struct {
	Failed string      `json:",omitempty"` // KeptMissing, or the kind of the error
	Data   []byte      `json:",omitempty"`
	Rev    uint64      `json:",omitempty"`
	Events []KeptEvent `json:",omitempty"` // of KeepWatch
}

// A KeptEvent is a cluster.Event.
type KeptEvent struct {
	Key     string `json:",omitempty"`
	Data    []byte `json:",omitempty"`
	Rev     uint64 `json:",omitempty"`
	Deleted bool   `json:",omitempty"`
	Synced  bool   `json:",omitempty"`
}

// KeptMissing is the kind of cluster.ErrNotFound.
const KeptMissing = "missing"

// Bounds of a Kept with events: after so many bytes another begins.
const (
	MaxKeptEvents = 256
	MaxKeptBytes  = 512 << 10
)

// FailedKept is what a Kept says of an error.
func FailedKept(err error) string {
	if errors.Is(err, cluster.ErrNotFound) {
		return KeptMissing
	}
	return cluster.ErrorKind(err)
}

// Err is the way back from FailedKept.
func (k *Kept) Err() error {
	switch k.Failed {
	case "":
		return nil
	case KeptMissing:
		return cluster.ErrNotFound
	case cluster.KindChanged:
		return cluster.ErrChanged
	case cluster.KindValue:
		return cluster.ErrValue
	case cluster.KindInvalid:
		return cluster.ErrKey
	}
	return fmt.Errorf("the store cannot be used: %s", k.Failed)
}

// takeKept takes what came of something in the store. Whether anything was
// asked for is seen by who did.
func takeKept(_ *Peer, from, to *Message) error {
	k := from.Kept
	if k == nil {
		return errors.New("it is empty")
	}
	to.Kept = k
	if len(k.Failed) > maxCountName || !plain(k.Failed) || len(k.Data) > cluster.MaxValue {
		return errors.New("an invalid kind of error, or a value that is too large")
	}
	size := 0
	if err := checkEach("events", k.Events, MaxKeptEvents, func(e *KeptEvent) error {
		if size += len(e.Data); len(e.Data) > cluster.MaxValue {
			return fmt.Errorf("a value of %d bytes", len(e.Data))
		}
		if e.Synced {
			*e = KeptEvent{Synced: true}
			return nil
		}
		return cluster.CheckKey(e.Key)
	}); err != nil {
		return err
	}
	if size > MaxKeptBytes+cluster.MaxValue {
		return fmt.Errorf("%d bytes of events", size)
	}
	return nil
}
