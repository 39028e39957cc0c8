package sock

import (
	"errors"
	"math"
	"slices"
	"time"

	"netserver/conf"
)

// The keys of Options in a port's parameters.
const (
	keyListen       = "listen"
	keyReusePort    = "reuse_port"
	keyFreebind     = "freebind"
	keyUnixMode     = "unix_mode"
	keyUnixOwner    = "unix_owner"
	keyUnixGroup    = "unix_group"
	keyUDPRecvLen   = "udp_recv_len"
	keyUDPBroadcast = "udp_broadcast"
	keyKeepAlive    = "tcp_keepalive"
)

// Keys returns the socket parameters of a port on the network ("tcp", "udp",
// "unix" or "unixgram"), sorted; nil for any other network.
func Keys(network string) []string {
	var keys []string
	switch network {
	case "tcp":
		keys = []string{keyListen, keyReusePort, keyFreebind, keyKeepAlive}
	case "udp":
		keys = []string{keyReusePort, keyFreebind, keyUDPRecvLen, keyUDPBroadcast}
	case "unix":
		keys = []string{keyListen, keyUnixMode, keyUnixOwner, keyUnixGroup}
	case "unixgram":
		keys = []string{keyUDPRecvLen, keyUnixMode, keyUnixOwner, keyUnixGroup}
	}
	slices.Sort(keys)
	return keys
}

// With returns o overridden by a port's own parameters, parsed as conf parses
// the same keys for all ports. Other keys are ignored. The error holds every
// bad value, a line each, with its origin.
func (o Options) With(p conf.Values) (Options, error) {
	var bad conf.Problems
	for _, b := range []struct {
		key string
		to  conf.Binder
	}{
		{keyListen, conf.Int(&o.Backlog, 0, math.MaxInt32)},
		{keyReusePort, conf.Bool(&o.ReusePort)},
		{keyFreebind, conf.Bool(&o.Freebind)},
		{keyUnixMode, conf.FileMode(&o.UnixMode)},
		{keyUnixOwner, conf.String(&o.UnixOwner)},
		{keyUnixGroup, conf.String(&o.UnixGroup)},
		{keyUDPRecvLen, conf.Int(&o.UDPRecvLen, 1, maxUDPRecvLen)},
		{keyUDPBroadcast, conf.Bool(&o.UDPBroadcast)},
		{keyKeepAlive, conf.Seconds(&o.KeepAlive, -time.Second, maxKeepAlive)},
	} {
		if err := overlay(b.key, p[b.key], b.to); err != nil {
			bad = append(bad, err)
		}
	}
	if bad != nil {
		return o, bad
	}
	return o, nil
}

// overlay sets to from the single value of key, if there is one.
func overlay(key string, vals []conf.Value, to conf.Binder) error {
	if len(vals) == 0 {
		return nil
	}
	var err error = vals[len(vals)-1].Errorf("given %d times, but takes one value", len(vals))
	if len(vals) == 1 {
		err = to.Set(vals)
	}
	var p *conf.Problem
	if errors.As(err, &p) {
		p.Key = key
	}
	return err
}
