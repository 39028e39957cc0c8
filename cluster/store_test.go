package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func TestErrorKind(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{ErrNotFound, KindChanged},
		{fmt.Errorf("put x: %w", ErrChanged), KindChanged},
		{ErrTooLarge, KindInvalid},
		{ErrTooMany, KindValue},
		{ErrReadOnly, KindReadOnly},
		{ErrFull, KindFull},
		{ErrDenied, KindDenied},
		{context.Canceled, KindClosed},
		{context.DeadlineExceeded, KindTimeout},
		{&net.OpError{Err: os.ErrDeadlineExceeded}, KindTimeout},
		{errors.New("connection refused"), KindUnreachable},
	} {
		if got := ErrorKind(tt.err); got != tt.want {
			t.Errorf("ErrorKind(%v) = %q, want %q", tt.err, got, tt.want)
		}
	}
}

func TestStoreOptions(t *testing.T) {
	o, err := StoreOptions{Password: "geheim"}.WithDefaults()
	if err != nil || o.Namespace != DefaultNamespace || o.Timeout != DefaultTimeout || o.Log == nil {
		t.Errorf("defaults %v, %v", o, err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", o, o, o, o.LogValue()); strings.Contains(s, "geheim") {
		t.Errorf("shows the password: %s", s)
	}
	for _, bad := range []StoreOptions{{Timeout: -1}, {Namespace: "a/b"}, {Namespace: "a.b"}, {Namespace: "A"}, {Namespace: strings.Repeat("n", 33)}} {
		if _, err := bad.WithDefaults(); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
}

func TestCheckWrite(t *testing.T) {
	for _, tt := range []struct {
		key  string
		size int
		ttl  time.Duration
		want error
	}{
		{"counts/node-1.0", MaxValue, MaxTTL, nil},
		{"x", MaxValue + 1, 0, ErrTooLarge},
		{"x", 0, -1, ErrKey},
		{"x", 0, MaxTTL + 1, ErrKey},
		{"X", 0, 0, ErrKey},
	} {
		if err := CheckWrite(tt.key, make([]byte, tt.size), tt.ttl); !errors.Is(err, tt.want) {
			t.Errorf("CheckWrite(%s, %d bytes, %v) = %v, want %v", tt.key, tt.size, tt.ttl, err, tt.want)
		}
	}
}
