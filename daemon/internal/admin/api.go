package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"netserver/internal/control"
)

// errBusy is why an answer is not asked for: too many are being waited for.
var errBusy = errors.New("too many requests at once; try again")

// errSlow is what becomes of a request whose answer takes too long.
var errSlow = errors.New("the server does not answer")

// MaxConns is how many clients one answer of /api/conns lists.
const MaxConns = 10_000

// ask returns the JSON of a verb's answer, as netserver ctl --json prints it.
func (f *Front) ask(ctx context.Context, r control.Request) ([]byte, error) {
	key, from := r.Verb, &f.cache
	if r.Verb == control.VerbConns {
		key, from = fmt.Sprintf("conns %d %s%s", r.Limit, r.After, r.ID), &f.lists
	}
	return from.get(ctx, key, cacheTime, func(ctx context.Context) ([]byte, error) { return f.answerTo(ctx, &r) })
}

func (f *Front) answerTo(ctx context.Context, r *control.Request) ([]byte, error) {
	switch {
	case r.Verb == control.VerbConns && r.ID == "":
		return f.allConns(ctx, r)
	case r.Verb == control.VerbMetrics:
		return together(ctx, f, r, control.Metrics{Families: []control.Family{}, Silent: []control.Silent{}})
	case r.Verb == control.VerbCerts:
		return together(ctx, f, r, control.Certs{Certificates: []control.Certificate{}, Silent: []control.Silent{}})
	}
	var got json.RawMessage
	err := f.o.Ask(ctx, r, func(_ string, data json.RawMessage) error {
		if got != nil {
			return errors.New("the server's answer has several parts")
		}
		got = bytes.Clone(data)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case got == nil:
		return nil, errors.New("the server gave no answer")
	}
	return append(got, '\n'), nil
}

// allConns puts the pages of the list together.
func (f *Front) allConns(ctx context.Context, r *control.Request) ([]byte, error) {
	all, n := []byte(clientsBefore), 0
	tail := listEnd{Silent: []control.Silent{}}
	err := f.o.Ask(ctx, r, func(_ string, data json.RawMessage) error {
		clients, end, err := splitList(data)
		if err != nil {
			return err
		}
		if n += bytes.Count(clients, []byte(clientBefore)); n > MaxConns || len(all)+len(clients) > maxListBytes {
			return errors.New("the server lists more clients than it was asked for")
		}
		if len(clients) > 0 && len(all) > len(clientsBefore) {
			all = append(all, ',')
		}
		all = append(all, clients...)
		tail.Silent = append(tail.Silent, end.Silent...)
		tail.More, tail.Next = end.More, end.Next
		return nil
	})
	if err != nil {
		return nil, err
	}
	end, err := json.Marshal(&tail)
	if err != nil {
		return nil, err
	}
	return append(append(all, ']', ','), end[1:]...), nil
}

// What the JSON of a list of clients has in it, as the server writes it. Within a
// text each of its quotation marks would have a backslash before it.
const (
	clientsBefore = `{"clients":[`
	clientBefore  = `{"id":"`
	moreBefore    = `],"more":`
	maxListBytes  = MaxConns * 4 << 10
)

// A listEnd is a control.Conns without its clients.
type listEnd struct {
	More   bool             `json:"more"`
	Next   string           `json:"next"`
	Silent []control.Silent `json:"silent"`
}

// splitList takes the JSON of a control.Conns apart into its clients, which it
// leaves as they are, and the rest: to read and write 10,000 of them took longer
// than all else that the admin process does for them.
func splitList(data []byte) (clients []byte, end listEnd, err error) {
	rest, ok := bytes.CutPrefix(data, []byte(clientsBefore))
	at := bytes.LastIndex(rest, []byte(moreBefore))
	if !ok || at < 0 {
		return nil, end, errors.New("the server's list of clients cannot be read")
	}
	tail := append([]byte(`{`), rest[at+2:]...)
	err = json.Unmarshal(tail, &end)
	return rest[:at], end, err
}

// together puts the parts of an answer together, in all.
func together[T any, P interface {
	*T
	Add(T)
}](ctx context.Context, f *Front, r *control.Request, all T) ([]byte, error) {
	var first json.RawMessage // which is all of it, mostly, and stays as it is
	n := 0
	add := func(data json.RawMessage) error {
		var part T
		err := json.Unmarshal(data, &part)
		P(&all).Add(part)
		return err
	}
	err := f.o.Ask(ctx, r, func(_ string, data json.RawMessage) error {
		switch n++; n {
		case 1:
			first = bytes.Clone(data)
			return nil
		case 2:
			if err := add(first); err != nil {
				return err
			}
		}
		return add(data)
	})
	switch {
	case err != nil:
		return nil, err
	case n == 1:
		return first, nil
	}
	return json.Marshal(&all)
}

// answer writes what the server has answered, or why it has not.
func (f *Front) answer(w http.ResponseWriter, r *http.Request, q control.Request) {
	b, err := f.ask(r.Context(), q)
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, b)
}

// writeFailure answers with an error: the server's own are the client's fault.
func writeFailure(w http.ResponseWriter, err error) {
	var refused *control.Failed
	switch {
	case errors.As(err, &refused):
		writeErrors(w, http.StatusBadRequest, refused.Texts...)
	default:
		writeErrors(w, http.StatusServiceUnavailable, err.Error())
	}
}

// verb answers /api/VERB.
func (f *Front) verb(w http.ResponseWriter, r *http.Request, verb string) {
	f.answer(w, r, control.Request{Verb: verb})
}

// conns answers /api/conns?limit=N&after=ID, and /api/conns?id=ID with all that is
// known of one.
func (f *Front) conns(w http.ResponseWriter, r *http.Request) {
	if id := r.URL.Query().Get("id"); id != "" {
		if _, err := control.ParseID(id); err != nil {
			writeErrors(w, http.StatusBadRequest, err.Error())
			return
		}
		f.answer(w, r, control.Request{Verb: control.VerbConns, ID: id})
		return
	}
	q := control.Request{Verb: control.VerbConns, Limit: control.DefaultConns, After: r.URL.Query().Get("after")}
	if text := r.URL.Query().Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > MaxConns {
			writeErrors(w, http.StatusBadRequest, fmt.Sprintf("limit is not a number between 1 and %d", MaxConns))
			return
		}
		q.Limit = n
	}
	if q.After != "" {
		if _, err := control.ParseID(q.After); err != nil {
			writeErrors(w, http.StatusBadRequest, err.Error())
			return
		}
	}
	f.answer(w, r, q)
}

// readyz answers 200, or 503 and why the server should get no clients.
func (f *Front) readyz(w http.ResponseWriter, r *http.Request) {
	var h control.Health
	b, err := f.ask(r.Context(), control.Request{Verb: control.VerbHealth})
	if err == nil {
		err = json.Unmarshal(b, &h)
	}
	switch {
	case err != nil:
		writeText(w, http.StatusServiceUnavailable, "unknown")
	case !h.Ready:
		writeText(w, http.StatusServiceUnavailable, control.Clean(h.Reason))
	default:
		writeText(w, http.StatusOK, "ok")
	}
}

// A fullStatus is what /status answers. docs/status.schema.json is its schema.
type fullStatus struct {
	*control.Status
	Health *control.Health `json:"health"`
}

// status answers /status.
func (f *Front) status(w http.ResponseWriter, r *http.Request) {
	b, err := f.ask(r.Context(), control.Request{Verb: control.VerbStatus})
	var st fullStatus
	if err == nil {
		st.Status = new(control.Status)
		err = json.Unmarshal(b, st.Status)
	}
	if err == nil {
		st.Health = control.HealthOf(st.Status)
		b, err = json.MarshalIndent(&st, "", "  ")
	}
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, append(b, '\n'))
}

// metrics returns the JSON of the verb metrics.
func (f *Front) metrics(ctx context.Context) ([]byte, error) {
	return f.ask(ctx, control.Request{Verb: control.VerbMetrics})
}
