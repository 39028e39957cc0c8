package proto

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"netserver/tlsparams"
)

// The alerts of TLS that the code below tells apart (RFC 8446, section 6).
const (
	alertCloseNotify          = 0
	alertBadCertificate       = 42
	alertUnsupported          = 43
	alertCertificateRevoked   = 44
	alertCertificateExpired   = 45
	alertCertificateUnknown   = 46
	alertUnknownCA            = 48
	alertAccessDenied         = 49
	alertDecodeError          = 50
	alertRecordLen            = 7 // of an alert without protection, with its header
	alertRecord, alertIsFatal = 21, 2
)

var alertNames = map[uint8]string{
	0: "close_notify", 10: "unexpected_message", 20: "bad_record_mac", 22: "record_overflow", 30: "decompression_failure",
	40: "handshake_failure", 41: "no_certificate", 42: "bad_certificate", 43: "unsupported_certificate", 44: "certificate_revoked",
	45: "certificate_expired", 46: "certificate_unknown", 47: "illegal_parameter", 48: "unknown_ca", 49: "access_denied",
	50: "decode_error", 51: "decrypt_error", 70: "protocol_version", 71: "insufficient_security", 80: "internal_error",
	86: "inappropriate_fallback", 90: "user_canceled", 100: "no_renegotiation", 109: "missing_extension",
	110: "unsupported_extension", 112: "unrecognized_name", 113: "bad_certificate_status_response",
	115: "unknown_psk_identity", 116: "certificate_required", 120: "no_application_protocol", 121: "ech_required",
}

// AlertName returns what RFC 8446 calls an alert, or its number.
func AlertName(alert uint8) string {
	if name := alertNames[alert]; name != "" {
		return name
	}
	return strconv.Itoa(int(alert))
}

// A ClientAlert is the alert with which a client ended its handshake.
type ClientAlert struct{ Alert uint8 }

// Error says what the alert means for who runs the server.
func (e *ClientAlert) Error() string {
	switch e.Alert {
	case alertBadCertificate, alertUnsupported, alertCertificateRevoked, alertCertificateExpired, alertCertificateUnknown, alertUnknownCA:
		return fmt.Sprintf("the client does not trust the server's certificate: it sent the alert %s", AlertName(e.Alert))
	}
	return "the client ended it with the alert " + AlertName(e.Alert)
}

// clientAlert returns the alert of the client that err of crypto/tls tells of.
// Its type there has no name outside, so the text decides.
func clientAlert(err error) (*ClientAlert, bool) {
	var oe *net.OpError
	if !errors.As(err, &oe) || oe.Op != "remote error" || oe.Err == nil {
		return nil, false
	}
	for n := range 256 {
		if a := tls.AlertError(n); a.Error() == oe.Err.Error() {
			return &ClientAlert{Alert: uint8(n)}, true
		}
	}
	return nil, false
}

// bareAlert returns the fatal alert that stands without protection at the
// beginning of b.
//
// A client that does not accept the certificate of a TLS 1.3 server often has
// no keys yet for what it sends, and its alert comes in plain text. crypto/tls
// takes it for a damaged record: the commonest mistake of all would be called
// a bad record MAC, and answered with an alert where nothing must follow.
func bareAlert(b []byte) *ClientAlert {
	if len(b) < alertRecordLen || b[0] != alertRecord || b[1] != 3 || b[3] != 0 || b[4] != 2 || b[5] != alertIsFatal || b[6] == alertCloseNotify {
		return nil
	}
	return &ClientAlert{Alert: b[6]}
}

// endsWithBadCertificate reports whether the last record of b is the alert
// bad_certificate without protection.
func endsWithBadCertificate(b []byte) bool {
	if len(b) < alertRecordLen {
		return false
	}
	a := bareAlert(b[len(b)-alertRecordLen:])
	if a == nil || a.Alert != alertBadCertificate {
		return false
	}
	for len(b) > alertRecordLen { // the records before it have to end where it begins
		n := 5 + int(b[3])<<8 + int(b[4])
		if n > len(b)-alertRecordLen {
			return false
		}
		b = b[n:]
	}
	return true
}

// alertFor returns the alert for a client that was denied for its
// certificate, where crypto/tls always sends bad_certificate.
func alertFor(err error) uint8 {
	var denied *tlsparams.Denied
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.Is(err, tlsparams.ErrRevoked):
		return alertCertificateRevoked
	case errors.As(err, &unknown):
		return alertUnknownCA
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return alertCertificateExpired
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return alertUnsupported
	case errors.As(err, &denied) && denied.Err == nil:
		return alertAccessDenied // the certificate is good, and on no list
	}
	return alertBadCertificate
}

// An UnknownNameError is the error of a client that asks for a name that no
// certificate is for.
type UnknownNameError struct{ Name string } // "" if it named none

// Error names the name, cut short.
func (e *UnknownNameError) Error() string {
	if e.Name == "" {
		return "the client named no server, and there is no default certificate (SSL_cert_file without a name): it got the alert unrecognized_name"
	}
	return fmt.Sprintf("no certificate is for the name %.255q that the client asked for: it got the alert unrecognized_name", e.Name)
}

// noCertificate reports whether err of crypto/tls says that GetCertificate
// has returned none.
func noCertificate(err error) bool {
	return strings.Contains(err.Error(), "no certificates configured")
}
