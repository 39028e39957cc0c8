package revoke

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// parseCRL is x509.ParseRevocationList for lists of version 1 too, which
// OpenSSL reads (and writes, where crlnumber is not set). Their signature is
// over the list as it stands, which is what RawTBSRevocationList holds.
func parseCRL(der []byte) (*x509.RevocationList, error) {
	second, tbs := asVersion2(der)
	if second == nil {
		return x509.ParseRevocationList(der)
	}
	crl, err := x509.ParseRevocationList(second)
	if err != nil {
		return nil, err
	}
	for i := range crl.RevokedCertificateEntries {
		if len(crl.RevokedCertificateEntries[i].Extensions) > 0 {
			return nil, errV1
		}
	}
	if len(crl.Extensions) > 0 {
		return nil, errV1
	}
	crl.Raw, crl.RawTBSRevocationList = der, tbs
	return crl, nil
}

var errV1 = errors.New("it is of version 1 and has extensions, which come with version 2")

// asVersion2 returns a list of version 1 with the number 2 put into it, and
// what its signature is over; nil for anything else.
func asVersion2(der []byte) (second, tbs []byte) {
	in := cryptobyte.String(der)
	var whole, list, fields cryptobyte.String
	if !in.ReadASN1(&whole, asn1.SEQUENCE) || !in.Empty() || !whole.ReadASN1Element(&list, asn1.SEQUENCE) {
		return nil, nil
	}
	tbs = list
	if !list.ReadASN1(&fields, asn1.SEQUENCE) || !fields.PeekASN1Tag(asn1.SEQUENCE) {
		return nil, nil // where version 2 has its number, version 1 has an algorithm
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			b.AddBytes(fields)
		})
		b.AddBytes(whole)
	})
	second, err := b.Bytes()
	if err != nil {
		return nil, nil
	}
	return second, tbs
}
