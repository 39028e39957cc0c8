package natsstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"netserver/cluster"
)

// limited returns an error whose text is not longer than a line of a log should
// be: the library puts in what the server has sent.
func limited(err error) string { return fmt.Sprintf("%.200q", err.Error()) }

// refusals are the ways in which servers say that they take nothing more.
var refusals = []struct {
	text string
	say  error
}{
	{"maximum bytes exceeded", cluster.ErrFull},
	{"maximum messages", cluster.ErrFull},
	{"resource limits exceeded", cluster.ErrFull},
	{"resources exceeded", cluster.ErrFull},
	{"insufficient", cluster.ErrFull},
	{"no space left", cluster.ErrFull},
	{"read-only", cluster.ErrReadOnly},
	{"sealed", cluster.ErrReadOnly},
}

// told returns the error of a call as package cluster names it. l is its
// connection, if there was one. A connection with which something is wrong is
// not used again.
func (s *store) told(ctx context.Context, l *link, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case s.shut.Load():
		return cluster.ErrClosed
	}
	for _, known := range []error{cluster.ErrNotFound, cluster.ErrChanged, cluster.ErrValue, cluster.ErrDenied, cluster.ErrTooMany} {
		if errors.Is(err, known) {
			return err
		}
	}
	if errors.Is(err, nats.ErrAuthorization) || errors.Is(err, nats.ErrAuthExpired) || errors.Is(err, nats.ErrAuthRevoked) || errors.Is(err, nats.ErrAccountAuthExpired) || errors.Is(err, nats.ErrPermissionViolation) {
		return cluster.ErrDenied
	}
	if errors.Is(err, nats.ErrMaxPayload) || errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum) {
		return fmt.Errorf("%w: for this server", cluster.ErrTooLarge)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode != jetstream.JSErrCodeStreamNotFound {
		for _, r := range refusals {
			if strings.Contains(api.Description, r.text) {
				return fmt.Errorf("%w: %s", r.say, limited(err))
			}
		}
		return fmt.Errorf("the server answers with an error: %s", limited(err))
	}
	if l != nil {
		lost := l.ctx.Err() != nil
		l.close()
		if lost {
			return context.Cause(l.ctx)
		}
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) {
		return context.DeadlineExceeded
	}
	return fmt.Errorf("NATS: %w", err)
}
