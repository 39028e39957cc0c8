package trust

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

func uriMatcher(text string) (func(*x509.Certificate) bool, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme == "" || rest == "" {
		return nil, fmt.Errorf("has %.100q: write a whole URI, such as spiffe://example.org/ns/*/sa/web", text)
	}
	want := strings.Split(rest, "/")
	for i, w := range want {
		switch {
		case w == "**" && (i == 0 || i != len(want)-1):
			return nil, fmt.Errorf("has %.100q: ** can stand only as the last part of the path", text)
		case w == "*" && i == 0:
			return nil, fmt.Errorf("has %.100q: a star cannot stand for the trust domain", text)
		case strings.Contains(w, "*") && w != "*" && w != "**":
			return nil, fmt.Errorf("has %.100q: a star stands for a whole part of the path", text)
		}
	}
	if why := wrongURI(text, want); why != "" {
		return nil, fmt.Errorf("has %.100q, which no certificate can match: %s", text, why)
	}
	return func(c *x509.Certificate) bool {
		for _, u := range c.URIs {
			if strings.EqualFold(u.Scheme, scheme) && uriMatches(u, want) {
				return true
			}
		}
		return false
	}, nil
}

// uriMatches compares part by part in escaped form, so that an escaped slash
// does not make a part. Queries, fragments and users never match.
func uriMatches(u *url.URL, want []string) bool {
	if u.RawQuery != "" || u.Fragment != "" || u.User != nil || u.Opaque != "" || u.ForceQuery {
		return false
	}
	if !strings.EqualFold(u.Host, want[0]) {
		return false
	}
	path := strings.Split(u.EscapedPath(), "/")
	if len(path) > 0 {
		path = path[1:] // what stands before the first slash is empty
	}
	for i, w := range want[1:] {
		if w == "**" {
			return len(path) > i && path[i] != ""
		}
		if i >= len(path) || path[i] == "" && w != "" || path[i] == "." || path[i] == ".." {
			return false
		}
		if w != "*" && w != path[i] {
			return false
		}
	}
	return len(path) == len(want)-1
}

// wrongURI says why no URI can match the pattern, or "": a rule that matches
// nobody is a mistake that its author should hear of, and not the clients.
func wrongURI(text string, parts []string) string {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return strings.TrimPrefix(err.Error(), fmt.Sprintf("parse %q: ", text))
	case !strings.EqualFold(u.Scheme, text[:strings.Index(text, "://")]):
		return "what stands before :// is no scheme"
	case u.User != nil:
		return "it has a user before the host"
	case u.RawQuery != "" || u.ForceQuery:
		return "it has a query after a question mark"
	case strings.Contains(text, "#"):
		return "it has a fragment after a #"
	case u.Host == "":
		return "it has no host"
	case u.Host != parts[0]:
		return "the host is not written as a certificate has it: " + u.Host
	}
	if why := wrongHost(u.Hostname()); why != "" && !strings.HasPrefix(u.Host, "[") {
		return why
	}
	for i, part := range parts[1:] {
		switch {
		case part == "." || part == "..":
			return "a part of the path is " + part
		case part == "" && i != len(parts)-2:
			return "a part of the path is empty"
		}
	}
	if path := strings.Split(u.EscapedPath(), "/"); !slices.Equal(path[1:], parts[1:]) && len(parts) > 1 {
		return "its path is written " + u.EscapedPath() + " in a certificate"
	}
	return ""
}
