package admin

import (
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"netserver/internal/control"
)

// tokenHeader carries the token of /api/session with each change. No page of
// another site can read that, nor send this header without being asked.
const tokenHeader = "X-Netserver-Token"

// session answers /api/session.
func (f *Front) session(w http.ResponseWriter, _ *http.Request) {
	b, err := json.Marshal(map[string]any{"write": f.o.Write, "token": f.token, "version": f.o.Version, "name": f.o.Name})
	if err != nil {
		writeFailure(w, err)
		return
	}
	writeJSON(w, http.StatusOK, append(b, '\n'))
}

// change answers what changes something, with these parameters.
func (f *Front) change(verb string, params ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if why := f.forbids(r); why != "" {
			writeErrors(w, http.StatusForbidden, why)
			return
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil { // what cannot be read must not count as left out
			writeErrors(w, http.StatusBadRequest, "the parameters cannot be read")
			return
		}
		q := control.Request{Verb: verb}
		for name, vals := range query {
			if !slices.Contains(params, name) || len(vals) != 1 {
				writeErrors(w, http.StatusBadRequest, "unknown or repeated parameter")
				return
			}
			switch name {
			case "id":
				q.ID = vals[0]
			case "network":
				q.Network = vals[0]
			case "seconds":
				n, err := strconv.Atoi(vals[0])
				if err != nil || n < 1 {
					writeErrors(w, http.StatusBadRequest, "seconds is not a number above 0")
					return
				}
				q.Seconds = n
			}
		}
		b, err := f.answerTo(r.Context(), &q)
		if err != nil {
			writeFailure(w, err)
			return
		}
		f.cache.forget()
		f.lists.forget()
		f.slow.forget()
		writeJSON(w, http.StatusOK, b)
	}
}

// forbids returns why a change may not be made, "" if it may: by the page or a
// program that was given the token, and not by a page of another site.
func (f *Front) forbids(r *http.Request) string {
	if !f.o.Write {
		return "this listener only shows: admin_write is not set"
	}
	given := r.Header.Values(tokenHeader)
	if len(given) != 1 || subtle.ConstantTimeCompare([]byte(given[0]), []byte(f.token)) != 1 {
		return "the header " + tokenHeader + " does not have the token of /api/session"
	}
	if site := r.Header.Values("Sec-Fetch-Site"); len(site) > 0 {
		if len(site) != 1 || site[0] != "same-origin" {
			return "the request comes from another site"
		}
		return ""
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Host != r.Host {
			return "the request comes from another site"
		}
	}
	return ""
}
