package tlsparams_test

import (
	"crypto/tls"
	"fmt"

	"netserver/conf"
	"netserver/tlsparams"
)

// With takes parameters as texts, and says what is wrong with them.
func ExampleParams_With() {
	v := conf.Values{}
	v.Set("SSL_version", "TLSv1_3")
	v.Set("SSL_verify_mode", "3")
	p, err := tlsparams.Params{}.With(v)
	fmt.Println(p.Version, p.VerifyMode == tlsparams.VerifyRequired, err)

	v.Set("SSL_verify_mode", "yes")
	_, err = tlsparams.Params{}.With(v)
	fmt.Println(err)
	// Output:
	// TLSv1_3 true <nil>
	// SSL_verify_mode yes must be a number: 0 asks for no client certificate, 1 verifies one that is sent, 3 requires one (code)
}

// A Source serves crypto/tls alone, without the engine: ask it for the
// configuration of each handshake, as files may have changed.
func ExampleParams_Open() {
	src, err := tlsparams.Params{Version: "TLSv1_3"}.Open(tlsparams.Env{Where: "port 443/ssl", Loopback: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return src.Config(), nil }}
	c, _ := cfg.GetConfigForClient(nil)
	fmt.Println(tls.VersionName(c.MinVersion), src.SelfSigned() != nil)
	// Output:
	// TLS 1.3 true
}

// A tls.Config of the program's own goes with the parameters; what both say is
// an error.
func ExampleEnv() {
	own := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}
	env := tlsparams.Env{Where: "port 443/ssl", TLSConfig: own}
	_, err := tlsparams.Params{}.Open(env)
	fmt.Println(err)
	_, err = tlsparams.Params{CertFile: "/etc/me.pem"}.Open(env)
	fmt.Println(err)
	// Output:
	// <nil>
	// port 443/ssl: SSL_cert_file /etc/me.pem and TLSConfig.GetCertificate are both given, and each says which certificate is served: remove one of them (Server.TLS.ForPort can take TLSConfig away from a port)
}
