package wire

import "fmt"

// OpStaple, from a worker, is about the OCSP response for the certificate whose
// SHA-256 digest is Have: Data is one that was fetched, which other nodes may
// have; without, the answer is an OpData with what one of those has fetched.
const OpStaple = "staple"

// MaxStaple is how long an OCSP response may be that is shared.
const MaxStaple = 32 << 10

func takeStaple(_ *Peer, from, to *Message) error {
	to.Have, to.Data = from.Have, from.Data
	if len(from.Have) != 32 || len(from.Data) > MaxStaple {
		return fmt.Errorf("a digest of %d and a response of %d bytes", len(from.Have), len(from.Data))
	}
	return nil
}
