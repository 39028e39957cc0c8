package wire

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"netserver/handler/httpd/challenge"
	"netserver/tlsparams"
)

// answeredWith is what ports say that answer by HTTP.
func answeredWith(a *challenge.Answers, name, token string) string {
	w := httptest.NewRecorder()
	q := httptest.NewRequest("GET", "http://a/", nil)
	q.Host, q.URL.Path = name, challenge.Path+token
	a.Handler(http.NotFoundHandler()).ServeHTTP(w, q)
	if w.Code != http.StatusOK {
		return ""
	}
	b, _ := io.ReadAll(w.Body)
	return string(b)
}

// Challenges of both kinds are answered together; what is wrong with one takes
// away none of those before; a server without HTTP says that it is one.
func TestChallenges(t *testing.T) {
	cert, err := tlsparams.SelfSigned(time.Now(), "b.example")
	if err != nil {
		t.Fatal(err)
	}
	byTLS, err := NewChallenge("b.example", cert.TLS())
	if err != nil {
		t.Fatal(err)
	}
	byHTTP, err := NewHTTPChallenge("a.example", "t", "t.x")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]Challenge{byTLS, byHTTP})
	if err != nil {
		t.Fatal(err)
	}
	var all []Challenge
	if err := json.Unmarshal(text, &all); err != nil || strings.Count(string(text), "Key") != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	src, err := tlsparams.Params{CertFile: tlsparams.ForceSelfSigned}.Source("x", true)
	if err != nil {
		t.Fatal(err)
	}
	sources, answers := []*tlsparams.Source{src}, new(challenge.Answers)
	looks := func() string {
		s := answeredWith(answers, "a.example", "t")
		if src.AnswersChallenge("b.example", []string{"acme-tls/1"}) {
			s += " and by TLS"
		}
		return s
	}
	if err := SetChallenges(sources, answers, all); err != nil || looks() != "t.x and by TLS" {
		t.Errorf("%q, %v", looks(), err)
	}
	for _, bad := range [][]Challenge{
		{{Name: "a.example", Token: "../x", Text: "../x.y"}}, {{Name: "a.example", Token: "t", Text: "u.x"}}, {{Name: "a.example"}},
		make([]Challenge, 1), {byTLS, {Name: "c.example", Chain: byTLS.Chain, Key: []byte("x")}},
	} {
		if err := SetChallenges(sources, answers, bad); err == nil || looks() != "t.x and by TLS" {
			t.Errorf("%+v: %q, %v", bad, looks(), err)
		}
	}
	if err := SetChallenges(sources, nil, all); err == nil || !strings.Contains(err.Error(), "no port here answers") {
		t.Error(err)
	}
	if err := SetChallenges(sources, nil, []Challenge{byTLS}); err != nil {
		t.Error(err)
	}
	if err := SetChallenges(sources, answers, nil); err != nil || looks() != "" {
		t.Errorf("%q, %v", looks(), err)
	}
}

var authorization = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}\.[A-Za-z0-9_-]{1,128}$`)

// Whatever a process is told to answer, clients of HTTP see nothing but a key
// authorization that belongs to their token.
func FuzzChallenges(f *testing.F) {
	f.Add("a.example", "t", "t.x")
	f.Add("a.example", "../t", "../t.x")
	f.Add("A", strings.Repeat("t", 257), "")
	f.Fuzz(func(t *testing.T, name, token, text string) {
		c, err := NewHTTPChallenge(name, token, text)
		answers := new(challenge.Answers)
		if serr := SetChallenges(nil, answers, []Challenge{c}); (serr == nil) != (err == nil) {
			t.Fatalf("%v, and then %v", err, serr)
		}
		if got := answeredWith(answers, name, token); got != "" && (err != nil || got != text || !authorization.MatchString(got) || !strings.HasPrefix(got, token+".")) {
			t.Errorf("%q for %q: %v", got, token, err)
		}
	})
}
