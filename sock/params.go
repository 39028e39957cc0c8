package sock

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"netserver/conf"
)

// The keys of Options, as they are named in a port's parameters.
const (
	keyListen       = "listen"
	keyReusePort    = "reuse_port"
	keyUnixMode     = "unix_mode"
	keyUnixOwner    = "unix_owner"
	keyUnixGroup    = "unix_group"
	keyUDPRecvLen   = "udp_recv_len"
	keyUDPBroadcast = "udp_broadcast"
	keyKeepAlive    = "tcp_keepalive"
)

// Keys returns the parameters that a port on the network ("tcp", "udp",
// "unix" or "unixgram") can carry for its socket, sorted. It is nil for any
// other network.
func Keys(network string) []string {
	var keys []string
	switch network {
	case "tcp":
		keys = []string{keyListen, keyReusePort, keyKeepAlive}
	case "udp":
		keys = []string{keyReusePort, keyUDPRecvLen, keyUDPBroadcast}
	case "unix":
		keys = []string{keyListen, keyUnixMode, keyUnixOwner, keyUnixGroup}
	case "unixgram":
		keys = []string{keyUDPRecvLen, keyUnixMode, keyUnixOwner, keyUnixGroup}
	}
	slices.Sort(keys)
	return keys
}

// With returns o with the keys of a port's own parameters put over it. Keys
// that are not Options' are left to others. The error holds every bad value,
// a line each, with the place it was given at.
func (o Options) With(p conf.Values) (Options, error) {
	var errs []error
	overlay(&errs, p, keyListen, &o.Backlog, parseBacklog)
	overlay(&errs, p, keyReusePort, &o.ReusePort, parseBool)
	overlay(&errs, p, keyUnixMode, &o.UnixMode, parseMode)
	overlay(&errs, p, keyUnixOwner, &o.UnixOwner, parseName)
	overlay(&errs, p, keyUnixGroup, &o.UnixGroup, parseName)
	overlay(&errs, p, keyUDPRecvLen, &o.UDPRecvLen, parseRecvLen)
	overlay(&errs, p, keyUDPBroadcast, &o.UDPBroadcast, parseBool)
	overlay(&errs, p, keyKeepAlive, &o.KeepAlive, parseKeepAlive)
	return o, errors.Join(errs...)
}

// overlay sets *to from the one value of key, if p has any.
func overlay[T any](errs *[]error, p conf.Values, key string, to *T, parse func(string) (T, error)) {
	vals := p[key]
	if len(vals) == 0 {
		return
	}
	last := vals[len(vals)-1]
	if len(vals) > 1 {
		*errs = append(*errs, fmt.Errorf("%s: given %d times, but takes one value (%s)", key, len(vals), last.Origin))
		return
	}
	v, err := parse(strings.TrimSpace(last.Text))
	if err != nil {
		*errs = append(*errs, fmt.Errorf("%s: %q %w (%s)", key, last.Text, err, last.Origin))
		return
	}
	*to = v
}

func parseBacklog(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("is not a whole number from 0 (the system's limit) to %d", math.MaxInt32)
	}
	return int(n), nil
}

func parseRecvLen(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("is not a whole number from 1 to %d", maxUDPRecvLen)
	}
	return int(n), nil
}

func parseMode(s string) (fs.FileMode, error) {
	digits := strings.TrimPrefix(strings.TrimPrefix(s, "0o"), "0O")
	n, err := strconv.ParseUint(digits, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return 0, errors.New("is not an octal mode from 0001 to 0777")
	}
	return fs.FileMode(n), nil
}

func parseName(s string) (string, error) {
	if s == "" {
		return "", errors.New("is not a name or a number")
	}
	return s, nil
}

func parseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "1", "true", "yes", "on":
		return true, nil
	case "0", "false", "no", "off", "":
		return false, nil
	}
	return false, errors.New("is not 1, true, yes, on, 0, false, no or off")
}

func parseKeepAlive(s string) (time.Duration, error) {
	if strings.EqualFold(s, "off") {
		return -1, nil
	}
	d, err := time.ParseDuration(s)
	if n, numErr := strconv.ParseInt(s, 10, 32); numErr == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d > maxKeepAlive {
		return 0, fmt.Errorf("is not a time up to %d seconds, such as 60 or 1m30s, or off", maxKeepAlive/time.Second)
	}
	if d < 0 {
		return -1, nil
	}
	return d, nil
}
