package cluster

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

var errBans = errors.New("not a list of bans")

// A banRecord and a liftRecord are what stands in a bansBody.
type banRecord struct {
	banKey
	banID
	left time.Duration
}

type liftRecord struct {
	banID
	left time.Duration
}

const (
	banSix    = 1 // an IPv6 network, of at most 64 bits
	banManual = 2
	banBefore = 4 // of a process before the writer's, whose number follows
	banFlags  = banSix | banManual | banBefore
)

// appendBan appends a ban: flags, bits, address, id, time left in ms, and the
// process if it is not the writer.
func appendBan(b []byte, s sharedBan, left time.Duration, boot uint64) []byte {
	var flags byte
	a := s.prefix.Addr()
	if a.Is6() {
		flags |= banSix
	}
	if s.manual {
		flags |= banManual
	}
	if s.boot != boot {
		flags |= banBefore
	}
	b = append(b, flags, byte(s.prefix.Bits()))
	if full := a.As16(); a.Is6() {
		b = append(b, full[:8]...)
	} else {
		b = append(b, full[12:]...)
	}
	b = binary.AppendUvarint(b, s.id)
	b = binary.AppendUvarint(b, uint64(left.Milliseconds()))
	if flags&banBefore != 0 {
		b = binary.BigEndian.AppendUint64(b, s.boot)
	}
	return b
}

// appendLift appends what was lifted: the node, its process, the id, and the
// time that was left in ms.
func appendLift(b []byte, id banID, left time.Duration) []byte {
	b = append(b, byte(len(id.node)))
	b = append(b, id.node...)
	b = binary.BigEndian.AppendUint64(b, id.boot)
	b = binary.AppendUvarint(b, id.id)
	return binary.AppendUvarint(b, uint64(left.Milliseconds()))
}

// decode returns what a process of a node has written.
func (body *bansBody) decode(node string, boot uint64) (bans []banRecord, lifted []liftRecord, err error) {
	for r := (recordReader{b: body.Bans}); len(r.b) > 0; {
		rec := banRecord{banID: banID{node: node, boot: boot}}
		head := r.take(2)
		if r.bad || head[0]&^banFlags != 0 || len(bans) >= MaxBans {
			return nil, nil, errBans
		}
		var a netip.Addr
		if head[0]&banSix != 0 {
			var full [16]byte
			copy(full[:], r.take(8))
			a = netip.AddrFrom16(full)
		} else {
			var full [4]byte
			copy(full[:], r.take(4))
			a = netip.AddrFrom4(full)
		}
		rec.manual = head[0]&banManual != 0
		rec.id, rec.left = r.number(), r.duration()
		if head[0]&banBefore != 0 {
			rec.boot = r.fixed()
		}
		rec.prefix = netip.PrefixFrom(a, int(head[1]))
		if r.bad || !rec.prefix.IsValid() || rec.boot == 0 {
			return nil, nil, errBans
		}
		bans = append(bans, rec)
	}
	for r := (recordReader{b: body.Lifted}); len(r.b) > 0; {
		var rec liftRecord
		rec.node = string(r.take(int(r.take(1)[0])))
		rec.boot, rec.id, rec.left = r.fixed(), r.number(), r.duration()
		if r.bad || CheckName(rec.node) != nil || len(lifted) >= MaxLifted {
			return nil, nil, errBans
		}
		lifted = append(lifted, rec)
	}
	return bans, lifted, nil
}

// A recordReader reads parts of b; bad is set when there were too few.
type recordReader struct {
	b   []byte
	bad bool
}

// take returns the next n bytes; zeros if there are fewer.
func (r *recordReader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *recordReader) fixed() uint64 { return binary.BigEndian.Uint64(r.take(8)) }

func (r *recordReader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *recordReader) duration() time.Duration {
	ms := r.number()
	if ms > uint64(MaxManualBan.Milliseconds()) {
		r.bad = true
		return 0
	}
	return time.Duration(ms) * time.Millisecond
}
