//go:build unix

package daemon_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"netserver/netservertest"
)

// inet starts type INET for a client, with its standard streams.
func inet(t *testing.T, in io.Reader, out io.Writer, args ...string) (wait func() (log string, err error)) {
	t.Helper()
	cmd := exec.Command(os.Args[0], append([]string{"INET"}, args...)...)
	cmd.Env = append(os.Environ(), programVar+"=command")
	var log bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() (string, error) { err := cmd.Wait(); return log.String(), err }
}

// Descriptor 0 speaks what the configuration's port speaks, with all its
// rules: TLS where it is a TLS port, and then nothing else.
func TestINETSpeaksThePortsProtocol(t *testing.T) {
	server := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	people := netservertest.NewCA(t, "people")
	ann := people.Issue(t, netservertest.Leaf{Name: "ann", Client: true})
	cert := []string{"--SSL_cert_file", server.CertFile, "--SSL_key_file", server.KeyFile}
	strict := append(cert, "--SSL_verify_mode", "3", "--SSL_ca_file", people.File(t))
	const welcome = "Welcome to"
	for _, tt := range []struct {
		name  string
		args  []string
		plain bool
		shows *tls.Certificate
		want  string // in what the client gets or in the log
	}{
		{"port", append(cert, "--port", "443/ssl"), false, nil, welcome},
		{"proto", append(cert, "--proto", "ssl"), false, nil, welcome},
		{"plain text to TLS", append(cert, "--port", "443/ssl"), true, nil, "does not speak TLS"},
		{"certificate", append(strict, "--port", "443/ssl"), false, &ann.TLS, welcome},
		{"no certificate", append(strict, "--port", "443/ssl"), false, nil, "didn't provide a certificate"},
		{"no certificate of the server", []string{"--port", "443/ssl"}, false, nil, "SSL_cert_file is missing"},
		{"plain", nil, true, nil, welcome},
		{"several alike", append(cert, "--port", "443/ssl", "--port", "444/ssl"), false, nil, welcome},
		{"several that differ", append(cert, "--port", "443/ssl", "--port", "25"), true, nil, "configure only the one"},
		{"several that differ, one is the socket's", append(cert, "--port", "PORT/ssl", "--port", "1"), true, nil, "does not speak TLS"},
		{"datagrams", []string{"--port", "53/udp"}, true, nil, "is for datagrams"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, f := accepted(t)
			_, number, _ := net.SplitHostPort(c.RemoteAddr().String())
			for i := range tt.args {
				tt.args[i] = strings.Replace(tt.args[i], "PORT", number, 1)
			}
			wait := inet(t, f, f, tt.args...)
			f.Close()
			var nc net.Conn = c
			if !tt.plain {
				cfg := &tls.Config{ServerName: "localhost", RootCAs: netservertest.CA(t).Pool()}
				if tt.shows != nil {
					cfg.Certificates = []tls.Certificate{*tt.shows}
				}
				nc = tls.Client(c, cfg)
			}
			fmt.Fprint(nc, "quit\n")
			got, _ := io.ReadAll(nc)
			log, _ := wait()
			if !strings.Contains(string(got)+log, tt.want) || tt.want != welcome && strings.Contains(string(got), welcome) {
				t.Errorf("the client got %q; the log: %s", got, log)
			}
		})
	}
}

// Over pipes and files it serves as the original does: what comes by standard
// input is the client, and what it gets goes to standard output, all of it.
func TestINETOverPipes(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef\n"), 100_000)
	file, err := os.Open(writeFile(t, t.TempDir()+"/in", string(big)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for name, in := range map[string]io.Reader{"pipe": bytes.NewReader(big), "file": file} {
		for _, serves := range [][]string{{"--echo", "raw"}, {"--", "/bin/cat"}} {
			var out bytes.Buffer
			log, err := inet(t, in, &out, serves...)()
			if err != nil || !bytes.Equal(out.Bytes(), big) {
				t.Errorf("%s, %v: %d bytes of %d, %v\n%s", name, serves, out.Len(), len(big), err, log)
			}
			if s, ok := in.(io.Seeker); ok {
				s.Seek(0, io.SeekStart)
			}
		}
	}
	// Rules judge such a client as 0.0.0.0.
	var out bytes.Buffer
	log, _ := inet(t, strings.NewReader("quit\n"), &out, "--cidr_allow", "127.0.0.0/8")()
	if out.Len() > 0 || !strings.Contains(log, "peer=0.0.0.0:0") || !strings.Contains(log, "denied") {
		t.Errorf("got %q; the log: %s", &out, log)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if log, err := inet(t, null, &out)(); err == nil || !strings.Contains(log, "not a socket, pipe, file or terminal") {
		t.Errorf("%s: %v, %s", os.DevNull, err, log)
	}
}

// A TLS port's client shakes hands over pipes as well.
func TestINETSpeaksTLSOverPipes(t *testing.T) {
	server := netservertest.CA(t).Issue(t, netservertest.Leaf{})
	inR, inW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer outR.Close()
	wait := inet(t, inR, outW, "--proto", "ssl", "--SSL_cert_file", server.CertFile, "--SSL_key_file", server.KeyFile)
	inR.Close()
	outW.Close()
	near, far := net.Pipe() // joins the client's two pipes
	defer near.Close()
	go func() { io.Copy(inW, far); inW.Close() }()
	go func() { io.Copy(far, outR); far.Close() }()
	c := tls.Client(near, &tls.Config{ServerName: "localhost", RootCAs: netservertest.CA(t).Pool()})
	fmt.Fprint(c, "quit\n")
	if got, _ := io.ReadAll(c); !strings.Contains(string(got), `You said "quit"`) {
		t.Errorf("got %q", got)
	}
	near.Close()
	if log, err := wait(); err != nil {
		t.Errorf("%v\n%s", err, log)
	}
}
