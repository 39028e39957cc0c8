package worker

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"netserver/daemon/internal/wire"
	"netserver/internal/certfile"
	"netserver/internal/childproc"
	"netserver/internal/signer"
	"netserver/tlsparams"
)

// isolate takes this worker's way to the keys, which is the last of the
// inherited files, if the supervisor keeps them.
func (w *worker) isolate(env *tlsparams.Env) error {
	if !w.init.Signer {
		return nil
	}
	files := w.o.Part.Files
	if len(files) == 0 {
		return errors.New("the supervisor sent no signing socket")
	}
	last := files[len(files)-1]
	w.o.Part.Files = files[:len(files)-1]
	c, err := childproc.ConnOf(last)
	last.Close()
	if err != nil {
		return err
	}
	w.signer = signer.NewClient(c)
	env.Pair, env.SignOnly = w.loadPair, true
	return nil
}

// takeForeign takes this worker's way to sockets that connect from clients'
// addresses, which is the last of the inherited files after isolate.
func (w *worker) takeForeign() (*childproc.Link, error) {
	if !w.init.Foreign {
		return nil, nil
	}
	files := w.o.Part.Files
	if len(files) == 0 {
		return nil, errors.New("the supervisor sent no way to sockets for transparent")
	}
	last := files[len(files)-1]
	w.o.Part.Files = files[:len(files)-1]
	defer last.Close()
	return childproc.LinkOf(last)
}

// loadPair has the supervisor read a certificate and keep its key.
func (w *worker) loadPair(f tlsparams.Files, have [32]byte) (*tlsparams.Pair, [32]byte, error) {
	m, err := w.ask(wire.Message{Op: wire.OpLoad, Path: f.Cert, Key: f.Key, Have: have[:], Fresh: w.started.Load()})
	a := m.Pair
	switch {
	case err != nil:
		return nil, have, &certfile.Error{File: f.Cert, Reason: "cannot be read: " + err.Error(), Err: err}
	case a == nil:
		return nil, have, &certfile.Error{File: f.Cert, Reason: "cannot be read: " + m.Failed}
	case a.Reason != "":
		return nil, have, &certfile.Error{Role: a.Role, File: a.File, Reason: a.Reason}
	case a.Same:
		return nil, have, nil
	}
	p := &tlsparams.Pair{}
	for _, der := range a.Chain {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, have, &certfile.Error{File: f.Cert, Reason: "arrived damaged from the supervisor: " + err.Error(), Err: err}
		}
		p.Chain = append(p.Chain, c)
	}
	if len(p.Chain) == 0 {
		return nil, have, &certfile.Error{File: f.Cert, Reason: "arrived without a certificate from the supervisor"}
	}
	p.Key = w.signer.Key(a.Key, p.Chain[0].PublicKey)
	return p, a.Digest, nil
}

// selfSigned returns the certificate made in memory, with its key or with the
// way to it.
func (w *worker) selfSigned() (*tlsparams.Certificate, error) {
	if w.signer == nil || len(w.init.SelfSigned) == 0 {
		return selfSignedOf(w.init.SelfSigned)
	}
	b, _ := pem.Decode(w.init.SelfSigned)
	if b == nil {
		return nil, errors.New("the certificate from the supervisor is not PEM")
	}
	leaf, err := x509.ParseCertificate(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("certificate from the supervisor: %w", err)
	}
	return tlsparams.CertificateOf(&tls.Certificate{
		Certificate: [][]byte{leaf.Raw}, Leaf: leaf, PrivateKey: w.signer.Key(w.init.SelfKey, leaf.PublicKey),
	}), nil
}
