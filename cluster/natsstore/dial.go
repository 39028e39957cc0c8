package natsstore

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"netserver/cluster"
)

// A dialer connects for the library. TLS is done here, since what is bounded is
// the text inside.
type dialer struct {
	s     *store
	ctx   context.Context
	err   error
	stops []func() bool
}

// Dial implements nats.CustomDialer.
func (d *dialer) Dial(_, addr string) (net.Conn, error) {
	nc, err := d.dial(addr)
	if err != nil {
		d.err = err
		return nil, err
	}
	d.err = nil
	return nc, nil
}

// done ends what watched over connections until they worked.
func (d *dialer) done() {
	for _, stop := range d.stops {
		stop()
	}
}

func (d *dialer) dial(addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, d.s.o.Timeout)
	defer cancel()
	var nd net.Dialer
	nc, err := nd.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	raw := nc
	stop := context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	nc, info, err := d.greet(ctx, nc, addr)
	if err != nil {
		raw.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, err
	}
	d.stops = append(d.stops, context.AfterFunc(d.ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }))
	return &boundedConn{Conn: nc, timeout: d.s.o.Timeout, info: info}, nil
}

// greet reads the line with which a server begins, and begins TLS. It returns
// what the library is to read instead: that TLS is done, and no other servers.
func (d *dialer) greet(ctx context.Context, nc net.Conn, addr string) (net.Conn, []byte, error) {
	line, err := readLine(nc)
	if err != nil {
		return nil, nil, err
	}
	rest, ok := bytes.CutPrefix(line, []byte("INFO "))
	var info map[string]json.RawMessage
	if !ok || json.Unmarshal(rest, &info) != nil {
		return nil, nil, fmt.Errorf("%w: the server does not begin as one of NATS", cluster.ErrValue)
	}
	var required, available bool
	json.Unmarshal(info["tls_required"], &required)
	json.Unmarshal(info["tls_available"], &available)
	if d.s.secure && !required && !available {
		return nil, nil, errors.New("the server has no TLS")
	}
	if d.s.secure || required {
		cfg := d.s.o.TLS.Clone()
		if cfg == nil {
			cfg = &tls.Config{}
		}
		if host, _, err := net.SplitHostPort(addr); err == nil && cfg.ServerName == "" {
			cfg.ServerName = host
		}
		tc := tls.Client(nc, cfg)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, nil, fmt.Errorf("TLS to %s: %w", addr, err)
		}
		nc = tc
	}
	for _, key := range []string{"tls_required", "tls_available", "tls_verify", "connect_urls", "ws_connect_urls"} {
		delete(info, key)
	}
	text, err := json.Marshal(info)
	if err != nil {
		return nil, nil, err
	}
	return nc, fmt.Appendf(nil, "INFO %s\r\n", text), nil
}

// readLine reads a line and no byte more: what follows may be TLS.
func readLine(nc net.Conn) ([]byte, error) {
	var line []byte
	for b := make([]byte, 1); len(line) < maxInfo; {
		if _, err := nc.Read(b); err != nil {
			return nil, err
		}
		if b[0] == '\n' {
			return line, nil
		}
		line = append(line, b[0])
	}
	return nil, fmt.Errorf("%w: the server begins with a line of more than %d bytes", cluster.ErrValue, maxInfo)
}
