package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Limits of every Store. What a store answers beyond them is an error and is
// never buffered.
const (
	MaxKey   = 200       // bytes of a key
	MaxValue = 64 << 10  // bytes of a value
	MaxKeys  = 10_000    // keys below a watched prefix
	MaxTTL   = 366 * day // longest life of a value that ends

	day = 24 * time.Hour
)

// A Store keeps small values under names. Its methods may be called from
// several goroutines at once, by any number of processes on the same data. Each
// call ends within a bounded time (StoreOptions.Timeout), whatever the store
// does, except Watch. No error shows a password.
//
// Keys are as CheckKey wants them. A revision says which write a value comes
// from: two revisions can be equal or not, and nothing else; 0 stands for a key
// that is not there.
//
// A ttl is how long a value stays from its write on: 0 means for ever, negative
// or above MaxTTL is an error. It may stay up to two seconds longer, for a
// Watch five. The clock of the machine that reads has no part in it, as far as
// the store allows.
//
// A lease is a value that is put with revision 0 and a ttl, and renewed by Put
// with its last revision: who gets ErrChanged does not have it any more.
type Store interface {
	// Get returns ErrNotFound for a key that is not there, and ErrValue for
	// what is no value: too large, or written by something else.
	Get(ctx context.Context, key string) (Value, error)

	// Put writes data if the key's revision is still rev, and returns the new
	// one; with rev 0 the key must not be there. Otherwise it returns
	// ErrChanged. After any other error the write may have happened.
	Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error)

	// Set writes data whatever is there, also what is no value.
	Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error)

	// Delete removes the key if its revision is still rev, otherwise it
	// returns ErrChanged; with rev 0 whatever is there is removed. A key that is
	// not there is no error with rev 0, and ErrChanged with another.
	Delete(ctx context.Context, key string, rev uint64) error

	// Watch calls f for each key that is there below prefix, then once with
	// Synced, then for each change: a change may be left out if another of the
	// same key follows, the last one never is. The prefix is empty, which is
	// everything, or ends in a slash. f is called from one goroutine at a time,
	// never after Watch has returned, and must not keep it waiting for long.
	// Watch returns when ctx ends, with its error, and when it cannot go on: its
	// error is never nil. A store that is lost for longer than a few seconds
	// is such a reason. Who calls Watch again sees everything again.
	Watch(ctx context.Context, prefix string, f func(Event)) error

	// Close ends the connections, and every Watch and other call, which return
	// ErrClosed. A second Close does nothing.
	Close() error
}

// A Value is what is stored under a key.
type Value struct {
	Data []byte // not nil; the caller may change it
	Rev  uint64 // never 0
}

// An Event tells of a key, or, with Synced, that all keys have been told of.
type Event struct {
	Key     string
	Value   Value // empty if Deleted or Synced or Err
	Deleted bool  // the key is not there any more
	Synced  bool  // nothing else is set
	Err     error // ErrValue: what stands under Key is no value
}

// Errors of a Store; test for them with errors.Is. Any other error, as one of a
// context or of the network, means that the store could not be reached in time.
var (
	ErrNotFound = errors.New("no such key")
	ErrChanged  = errors.New("another has written the key")
	ErrKey      = errors.New("not a key")                  // what CheckKey and CheckPrefix refuse
	ErrTooLarge = errors.New("the value is too large")     // to be written
	ErrValue    = errors.New("not a value of this store")  // what was read
	ErrTooMany  = errors.New("too many keys")              // more than MaxKeys
	ErrReadOnly = errors.New("the store is read-only")     // or a replica
	ErrFull     = errors.New("the store is full")          // or a quota is
	ErrDenied   = errors.New("the store refuses the user") // wrong password, or no right to do this
	ErrClosed   = errors.New("the store is closed")
)

// Kinds of errors, for counters.
const (
	KindChanged     = "changed"     // ErrChanged, ErrNotFound: no fault
	KindInvalid     = "invalid"     // ErrKey, ErrTooLarge: the caller's fault
	KindValue       = "value"       // ErrValue, ErrTooMany
	KindReadOnly    = "read_only"   // ErrReadOnly
	KindFull        = "full"        // ErrFull
	KindDenied      = "denied"      // ErrDenied
	KindClosed      = "closed"      // ErrClosed, context.Canceled
	KindTimeout     = "timeout"     // context.DeadlineExceeded and other timeouts
	KindUnreachable = "unreachable" // all others
)

// ErrorKind returns the kind of a Store's error, one of the constants above;
// empty for nil.
func ErrorKind(err error) string {
	if err == nil {
		return ""
	}
	for _, k := range []struct {
		err  error
		kind string
	}{
		{ErrNotFound, KindChanged},
		{ErrChanged, KindChanged},
		{ErrKey, KindInvalid},
		{ErrTooLarge, KindInvalid},
		{ErrValue, KindValue},
		{ErrTooMany, KindValue},
		{ErrReadOnly, KindReadOnly},
		{ErrFull, KindFull},
		{ErrDenied, KindDenied},
		{ErrClosed, KindClosed},
		{context.Canceled, KindClosed},
		{context.DeadlineExceeded, KindTimeout},
	} {
		if errors.Is(err, k.err) {
			return k.kind
		}
	}
	var t interface{ Timeout() bool }
	if errors.As(err, &t) && t.Timeout() {
		return KindTimeout
	}
	return KindUnreachable
}

// An Opener opens the store that a URL names, as dirstore.Open. The error shows
// no password. A server that cannot be reached now is no error: the calls say
// so. What can't be right later is one: a URL, a directory of another user.
type Opener func(ctx context.Context, url string, o StoreOptions) (Store, error)

// StoreOptions are what an Opener has beside the URL. The zero value works.
type StoreOptions struct {
	// Namespace keeps the keys of one cluster apart from others in the same
	// store; empty means DefaultNamespace. See CheckNamespace.
	Namespace string

	// Password goes before the URL's; empty means that of the URL, if any.
	Password string

	// TLS is for URLs with TLS: nil trusts the system's authorities. The name
	// to be verified is the URL's host unless ServerName is set.
	TLS *tls.Config

	// Timeout bounds each call and each connection; 0 means DefaultTimeout,
	// negative is an error. A context that ends earlier ends a call earlier.
	Timeout time.Duration

	// Log takes what no call returns, as a connection that was lost; nil
	// discards it.
	Log *slog.Logger
}

// Defaults of StoreOptions.
const (
	DefaultNamespace = "netserver"
	DefaultTimeout   = 2 * time.Second
)

// WithDefaults returns o with its defaults, or an error that says which field is
// wrong. It is for those who write a Store.
func (o StoreOptions) WithDefaults() (StoreOptions, error) {
	if o.Namespace == "" {
		o.Namespace = DefaultNamespace
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout < 0 {
		return o, fmt.Errorf("a timeout of %v is negative", o.Timeout)
	}
	return o, CheckNamespace(o.Namespace)
}

// LogValue hides the password.
func (o StoreOptions) LogValue() slog.Value { return slog.StringValue(o.String()) }

// String hides the password.
func (o StoreOptions) String() string {
	return fmt.Sprintf("{namespace %s, timeout %v}", o.Namespace, o.Timeout)
}

// GoString hides the password.
func (o StoreOptions) GoString() string { return o.String() }

// CheckKey returns an error, which is an ErrKey, unless key has at most MaxKey
// bytes of [a-z0-9._/-], in parts between slashes that are not empty and do not
// begin with a dot.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return fmt.Errorf("%w: %d bytes are more than %d", ErrKey, len(key), MaxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' {
			return fmt.Errorf("%w: %q has a part that is empty or begins with a dot", ErrKey, key)
		}
		for _, c := range []byte(part) {
			if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-') {
				return fmt.Errorf("%w: %q has other characters than a to z, 0 to 9, dot, slash, _ and -", ErrKey, key)
			}
		}
	}
	return nil
}

// CheckPrefix returns an error, which is an ErrKey, unless prefix is empty or a
// key with a slash at its end.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	key, ok := strings.CutSuffix(prefix, "/")
	if !ok {
		return fmt.Errorf("%w: the prefix %q does not end in a slash", ErrKey, prefix)
	}
	return CheckKey(key)
}

// CheckNamespace returns an error unless name is a key of at most 32 bytes
// without dots and slashes, which every store can have in names of its own.
func CheckNamespace(name string) error {
	if err := CheckKey(name); err != nil || len(name) > 32 || strings.ContainsAny(name, "./") {
		return fmt.Errorf("the namespace %q must be 1 to 32 characters of a to z, 0 to 9, _ and -", name)
	}
	return nil
}

// CheckWrite returns the error of a Put or Set with these arguments, if any. It
// is for those who write a Store.
func CheckWrite(key string, data []byte, ttl time.Duration) error {
	if err := CheckKey(key); err != nil {
		return err
	}
	if len(data) > MaxValue {
		return fmt.Errorf("%w: %d bytes of %s are more than %d", ErrTooLarge, len(data), key, MaxValue)
	}
	if ttl < 0 || ttl > MaxTTL {
		return fmt.Errorf("%w: a ttl of %v for %s", ErrKey, ttl, key)
	}
	return nil
}
