// Command web serves HTTP/1.1 and HTTP/2 with one http.Handler: over TLS to
// clients with a certificate, and plain on loopback. Both ports have the limits,
// records and drain of one server.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"

	"netserver"
	"netserver/handler/httpd"
	"netserver/port"
	"netserver/tlsparams"
)

// hello greets a client by the name in its certificate, or by its address.
func hello(w http.ResponseWriter, r *http.Request) {
	who := r.RemoteAddr
	if r.TLS != nil {
		who = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "hello %s, you are client %d, by %s\n", who, httpd.Conn(r.Context()).ID(), r.Proto)
}

func main() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	s := &netserver.Server{Handler: &httpd.Handler{Handler: mux}}
	s.Config.Ports = []port.Spec{{Host: "127.0.0.1", Port: "8443", Proto: "ssl"}, {Host: "127.0.0.1", Port: "8080"}}
	s.Config.TLS.VerifyMode = tlsparams.VerifyRequired
	flag.Func("port", "port to listen on (default: 127.0.0.1:8443/ssl and 127.0.0.1:8080)", port.Flag(&s.Config.Ports))
	flag.StringVar(&s.Config.TLS.CertFile, "cert", "", "file of certificate and key (default: a certificate made in memory, on loopback)")
	flag.Func("ca", "file of the authorities that sign clients' certificates (default: the system's)", func(file string) error {
		s.Config.TLS.CAFiles = append(s.Config.TLS.CAFiles, file)
		return nil
	})
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := s.ListenAndServe(ctx); err != nil {
		log.Fatal(err)
	}
}
