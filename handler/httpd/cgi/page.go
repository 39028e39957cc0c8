package cgi

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// A Page shows the environment of each request, and its form: Net::Server's
// page for a server without a program. It tells a client nothing but what that
// has sent, the addresses, and Origin.
type Page struct{ Origin Origin }

// maxForm bounds the form that a Page reads.
const maxForm = 1 << 20

// ServeHTTP answers with the page; the path /simple has a shorter one.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !knownMethod(w, r) {
		return
	}
	w.Header().Set("Content-Type", "text/html")
	if _, path := names(r); path == "/simple" {
		io.WriteString(w, "Simple")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	form := formOf(r)
	var b strings.Builder
	b.WriteString("<form method=post action=/bam><input type=text name=foo><input type=submit></form>\n<pre>%ENV = (\n")
	vars := p.Origin.Vars(r)
	for i, kv := range vars {
		name, value, _ := strings.Cut(kv, "=")
		text := quoted(value)
		if value == "" && isAddress(name) {
			text = "undef"
		}
		fmt.Fprintf(&b, "         %s => %s%s\n", quoted(name), text, comma(i, len(vars)))
	}
	b.WriteString("       );\n$form = {")
	for i, name := range slices.Sorted(maps.Keys(form)) {
		if i == 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "          %s => %s%s\n", quoted(name), quoted(form[name]), comma(i, len(form)))
	}
	if len(form) > 0 {
		b.WriteString("        ")
	}
	b.WriteString("};\n</pre>")
	io.WriteString(w, b.String())
}

// formOf returns the first value of each field: of a body if there is one, else
// of the query.
func formOf(r *http.Request) map[string]string {
	form := make(map[string]string)
	err := r.ParseMultipartForm(maxForm)
	if err != nil && err != http.ErrNotMultipart {
		return form
	}
	values := r.Form
	if r.Method == http.MethodPost {
		values = r.PostForm
	}
	for name, v := range values {
		form[name] = v[0]
	}
	if r.MultipartForm != nil {
		r.MultipartForm.RemoveAll()
	}
	return form
}

func isAddress(name string) bool {
	return strings.HasSuffix(name, "_ADDR") || strings.HasSuffix(name, "_PORT") && !strings.HasPrefix(name, "HTTP_")
}

func comma(i, n int) string {
	if i == n-1 {
		return ""
	}
	return ","
}

// quoted is a text of Perl between single quotes, as HTML shows it.
func quoted(s string) string {
	return "'" + escape(strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s)) + "'"
}

// escape makes text of HTML show as it is.
func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

// ErrorPage answers with a status and a page that gives a detail, where nothing
// has been sent yet.
func ErrorPage(w http.ResponseWriter, status int, detail string) {
	title := statusText(status)
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Cache-Control"} {
		h.Del(name)
	}
	h.Set("Content-Type", "text/html")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<html>\n<body>\n<h1>%s</h1><p>%s</p></body>\n</html>\n", escape(title), escape(detail))
}

func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return fmt.Sprintf("Status %d", status)
}
