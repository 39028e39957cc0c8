package serving

import (
	"errors"
	"fmt"
	"slices"

	"netserver/conf"
	"netserver/daemon/internal/connlog"
	"netserver/handler/httpd/accesslog"
)

// The access log has a line for each request where HTTP is served, and one for
// each connection elsewhere. access_log_format can be for either: its directives
// tell which, and text and json are for both. A server that serves both ways may
// have one value for all, which holds where it fits.

const keyLogFormat = "access_log_format"

// ConnFormat returns the format of lines about connections of the i-th port; nil
// if all of its clients' requests have lines. A library serves no HTTP that this
// package knows of.
func (s *Services) ConnFormat(i int, library bool) (*connlog.Format, error) {
	one := s.Of(i)
	if !library && !s.faulty && !slices.ContainsFunc(one.Leaves(), (*Service).connects) {
		return nil, nil
	}
	text := one.Web.LogFormat
	if !library && !connlog.Is(text) && !s.says(i) && slices.ContainsFunc(s.Used(), (*Service).web) {
		text = "" // it is that of requests
	}
	f, err := connlog.Parse(text)
	if err != nil {
		return nil, &conf.Problem{Key: keyLogFormat, Origin: s.saidAt(i), Err: err}
	}
	return f, nil
}

// connects reports whether the clients of s are no requests. A route that
// refuses has some.
func (s *Service) connects() bool { return !s.web() }

// says reports whether the i-th port has a format of its own.
func (s *Services) says(i int) bool {
	return i < len(s.in.Own) && len(s.in.Own[i].Values[keyLogFormat]) > 0
}

func (s *Services) saidAt(i int) conf.Origin {
	if s.says(i) {
		return origin(s.in.Own[i].Values[keyLogFormat])
	}
	return origin(s.in.Result.Get(keyLogFormat))
}

// requestFormat returns the format of lines about requests that one serves.
func (s *Services) requestFormat(one *Service) (string, error) {
	text := one.Web.LogFormat
	switch {
	case text == "", text == connlog.Text:
		return accesslog.Combined, nil
	case text == connlog.JSON || !connlog.Is(text):
		return text, nil
	}
	for i := range s.in.Ports {
		if s.says(i) && s.Of(i) == one {
			return "", &conf.Problem{Key: keyLogFormat, Origin: s.saidAt(i), Err: fmt.Errorf("%.40q is for connections, and this port logs requests", text)}
		}
	}
	if !slices.ContainsFunc(s.Used(), (*Service).connects) {
		return "", &conf.Problem{Key: keyLogFormat, Origin: origin(s.in.Result.Get(keyLogFormat)), Err: errors.New("%{NAME} alone is for connections, and every port logs requests")}
	}
	return accesslog.Combined, nil
}
