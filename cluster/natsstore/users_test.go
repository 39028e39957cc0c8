//go:build unix

package natsstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"netserver/cluster"
	"netserver/netservertest"
)

// The rights that doc.go lists are enough; a wrong password is told without
// showing it.
func TestUsers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := start(t, `authorization { users: [
	{ user: ours, password: "`+password+`", permissions: {
		publish: [ "$KV.netserver.>", "$JS.API.INFO", "$JS.API.STREAM.CREATE.KV_netserver", "$JS.API.STREAM.INFO.KV_netserver", "$JS.API.STREAM.PURGE.KV_netserver", "$JS.API.DIRECT.GET.KV_netserver.>", "$JS.API.CONSUMER.CREATE.KV_netserver.>", "$JS.API.CONSUMER.DELETE.KV_netserver.>", "$JS.FC.>" ]
		subscribe: [ "_INBOX.>" ] } } ] }`)
	good := s.open(t, "ours@", cluster.StoreOptions{Password: password})
	if _, err := good.Put(ctx, "x", []byte("1"), 0, time.Hour); err != nil {
		t.Fatal(err)
	}
	watching, cancel := context.WithCancel(ctx)
	seen := ""
	if err := good.Watch(watching, "", func(e cluster.Event) {
		if e.Synced {
			cancel()
		} else {
			seen += e.Key
		}
	}); !errors.Is(err, context.Canceled) || seen != "x" {
		t.Errorf("Watch has seen %q: %v", seen, err)
	}
	if err := good.Delete(ctx, "x", 0); err != nil {
		t.Error(err)
	}
	var mu sync.Mutex
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(writer(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), &slog.HandlerOptions{Level: slog.LevelDebug}))
	for name, st := range map[string]cluster.Store{
		"wrong password": s.open(t, "ours:"+password+"x@", cluster.StoreOptions{Log: logger}),
		"no user":        s.open(t, "", cluster.StoreOptions{Log: logger, Password: password}),
		"namespace":      s.open(t, "ours@", cluster.StoreOptions{Log: logger, Password: password, Namespace: "other"}),
	} {
		_, err := st.Get(ctx, "x")
		err2 := st.Watch(ctx, "", func(cluster.Event) {})
		for _, err := range []error{err, err2} {
			if !errors.Is(err, cluster.ErrDenied) {
				t.Errorf("%s: %v", name, err)
			}
			mu.Lock()
			text := fmt.Sprintf("%v %+v %#v %v", err, err, err, st) + log.String()
			mu.Unlock()
			if strings.Contains(text, password) {
				t.Errorf("%s: shows the password: %s", name, text)
			}
		}
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }

func TestTokenAndTLS(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pair := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	s := start(t, fmt.Sprintf("authorization { token: %q }\ntls { cert_file: %q, key_file: %q }", password, pair.CertFile, pair.KeyFile))
	plain := start(t, "")
	for _, tt := range []struct {
		url     string
		trusted bool
		ok      bool
	}{
		{"tls://" + s.front.Addr().String(), true, true},
		{"nats://" + s.front.Addr().String(), true, true}, // the server wants it
		{"nats://" + s.front.Addr().String(), false, false},
		{"tls://" + plain.front.Addr().String(), true, false},
	} {
		o := cluster.StoreOptions{Password: password, Timeout: time.Minute}
		if tt.trusted {
			o.TLS = &tls.Config{RootCAs: netservertest.CA(t).Pool()}
		}
		st, err := Open(ctx, tt.url, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		_, err = st.Set(ctx, "x", nil, 0)
		if (err == nil) != tt.ok || !tt.trusted && !strings.Contains(err.Error(), "TLS to "+s.front.Addr().String()+": tls: failed to verify certificate") {
			t.Errorf("%s, trusted %v: %v", tt.url, tt.trusted, err)
		}
	}
}
