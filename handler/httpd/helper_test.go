package httpd_test

import (
	"log/slog"
	"net/http"
	"strings"

	"netserver/handler/httpd"
)

func slogPath(r *http.Request) slog.Attr { return slog.String("path", r.URL.Path) }

func handler(f http.HandlerFunc) *httpd.Handler { return &httpd.Handler{Handler: f} }

func isTLS(name string) bool { return strings.HasSuffix(name, "ssl") }
