package wire

import (
	"encoding/binary"
	"errors"
	"math"
	"strconv"
	"time"

	"netserver/internal/control"
)

// A page of clients goes from a worker to its supervisor packed: as JSON, which is
// read three times to be sure that it means one thing only, a list of 10,000 took
// the supervisor most of a second. It is rows, one behind the other, of numbers as
// package binary has them (uvarint) and texts with their length before them. What
// is unpacked is checked as all else that a worker says.

var errPage = errors.New("a page of clients that cannot be read")

// texts are the texts of a client, in the order of a row.
func texts(c *control.Client) [7]*string {
	return [...]*string{&c.Port, &c.Peer, &c.PeerName, &c.TLS, &c.ServerName, &c.Stage, &c.Doing}
}

// inMillis is the way back from InSeconds.
func inMillis(s float64) uint64 { return uint64(math.Round(max(s, 0) * 1000)) }

// appendClient appends a row. c.ID is the client's number alone.
func appendClient(b []byte, c *control.Client) []byte {
	id, _ := strconv.ParseUint(c.ID, 10, 64)
	b = binary.AppendUvarint(b, id)
	for _, s := range texts(c) {
		b = binary.AppendUvarint(b, uint64(len(*s)))
		b = append(b, *s...)
	}
	idle := uint64(0) // not known
	if c.Idle != nil {
		idle = inMillis(*c.Idle) + 1
	}
	for _, n := range [...]uint64{uint64(max(c.Since.UnixNano(), 0)), inMillis(c.Connected), c.In, c.Out, idle} {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// unpack reads a page.
func unpack(b []byte) (list []control.Client, err error) {
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			b, err = nil, errPage
			return 0
		}
		b = b[size:]
		return n
	}
	for len(b) > 0 {
		if len(list) == MaxPage {
			return nil, errPage
		}
		c := control.Client{ID: strconv.FormatUint(number(), 10)}
		for _, s := range texts(&c) {
			n := number()
			if n > uint64(len(b)) {
				return nil, errPage
			}
			*s, b = string(b[:n]), b[n:]
		}
		c.Since = time.Unix(0, int64(min(number(), math.MaxInt64)))
		c.Connected = float64(number()) / 1000
		c.In, c.Out = number(), number()
		if n := number(); n > 0 {
			idle := float64(n-1) / 1000
			c.Idle = &idle
		}
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, err
}

// takePage takes the clients of a packed page, or those that are not packed.
func (a *Answer) takePage() (err error) {
	if a.Page == nil {
		return nil
	}
	if len(a.Clients) > 0 {
		return errors.New("clients twice")
	}
	a.Clients, err = unpack(a.Page)
	a.Page = nil
	return err
}
