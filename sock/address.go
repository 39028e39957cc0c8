package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"netserver/port"
)

// A place is the address of a tcp or udp socket, with all names looked up.
type place struct {
	family string   // "4", "6", or "" for one socket that serves both
	hosts  []string // addresses to try in turn, or one "" for the wildcard
	port   int
}

// isDual reports whether p requests one socket for IPv4 and IPv6.
func isDual(p port.Spec) bool {
	return (p.IPv == "*" || p.IPv == "") && (isAny(p.Host) || p.Host == "::")
}

func isAny(host string) bool { return host == "*" || host == "" }

// resolve applies the family rules to p and looks up its remaining names.
func resolve(ctx context.Context, network string, p port.Spec) (place, error) {
	number, err := lookupPort(ctx, network, p.Port)
	if err != nil {
		return place{}, err
	}
	pl := place{port: number, hosts: []string{""}}
	switch p.IPv {
	case "4", "6":
		pl.family = p.IPv
	case "*", "":
	default:
		return place{}, fmt.Errorf("IPv%s is not an address family: 4, 6 or *", p.IPv)
	}
	if isAny(p.Host) || isDual(p) {
		return pl, nil
	}
	if a, err := netip.ParseAddr(p.Host); err == nil {
		pl.hosts = []string{p.Host}
		pl.family, err = familyOf(a, pl.family)
		return pl, err
	}
	return lookupHost(ctx, pl, p.Host)
}

// familyOf returns the family of a, which must be want unless that is "".
func familyOf(a netip.Addr, want string) (string, error) {
	if a.Is4In6() {
		return "", fmt.Errorf("%s is an IPv4 address in IPv6 form: write %s", a, a.Unmap())
	}
	family := "6"
	if a.Is4() {
		family = "4"
	}
	if want != "" && want != family {
		return "", fmt.Errorf("%s is not an IPv%s address", a, want)
	}
	return family, nil
}

// lookupHost fills pl with the addresses of a host name.
func lookupHost(ctx context.Context, pl place, name string) (place, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip"+pl.family, name)
	if err != nil {
		return place{}, err
	}
	pl.hosts = nil
	for _, a := range addrs {
		pl.hosts = append(pl.hosts, a.Unmap().String())
	}
	if pl.family != "" {
		return pl, nil
	}
	// Serving only the first address would silently exclude clients of the
	// others, so a name for both families needs a row for each.
	if len(pl.hosts) > 1 {
		return place{}, fmt.Errorf("the name has %d addresses (%s): choose one, or IPv4 or IPv6", len(pl.hosts), strings.Join(pl.hosts, ", "))
	}
	pl.family, err = familyOf(addrs[0].Unmap(), "")
	return pl, err
}

// lookupPort returns the number of a port or service.
func lookupPort(ctx context.Context, network, name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 64); err == nil {
		if n > 65535 {
			return 0, fmt.Errorf("port %s is above 65535", name)
		}
		return int(n), nil
	}
	if name == "" || name[0] == '+' || name[0] == '-' { // LookupPort reads signs
		return 0, fmt.Errorf("%q is not a port", name)
	}
	return net.DefaultResolver.LookupPort(ctx, network, name)
}

// openAt calls open for the addresses of pl until one can be bound. On a
// kernel without IPv6, a place for both families becomes one for IPv4.
func openAt[T any](pl place, open func(family, address string) (T, error)) (T, error) {
	var sock T
	err := errors.New("no address")
	for _, host := range pl.hosts {
		sock, err = open(pl.family, net.JoinHostPort(host, strconv.Itoa(pl.port)))
		if !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	if pl.family == "" && lacksIPv6(err) {
		return open("4", net.JoinHostPort("", strconv.Itoa(pl.port)))
	}
	return sock, err
}

// lacksIPv6 reports whether err is the error of opening the IPv6 wildcard on a
// kernel without IPv6 or with IPv6 disabled.
func lacksIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) ||
		errors.Is(err, syscall.EPROTONOSUPPORT) ||
		errors.Is(err, syscall.EADDRNOTAVAIL)
}
