package dirstore

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"netserver/cluster"
)

const (
	magic      = "NSC1"
	keptRevs   = 64              // how many writes back a file tells of
	headSize   = 24 + 4*keptRevs // magic, kind, three zeros, random, ttl in ms, checksum, randoms of those before
	kindValue  = 1
	kindGone   = 2 // the key was deleted
	tempPrefix = ".tmp-"
	maxFiles   = 4 * cluster.MaxKeys // in the directory
)

// A file is one write.
type file struct {
	name string
	num  uint32 // of the write; the highest of a key counts
	bad  error  // why it is no write of ours: ErrValue
	kind byte
	cluster.Value
	before [4 * keptRevs]byte // the randoms of the writes before this one, the last first
	until  time.Time          // zero: it stays
	since  time.Time          // when it was written, by the file system's clock
}

// there reports whether the file says that its key is there.
func (f *file) there() bool {
	return f != nil && (f.bad != nil || f.kind == kindValue && (f.until.IsZero() || time.Now().Before(f.until)))
}

// fileName returns the name of a key's write.
func fileName(key string, num uint32) string {
	return strings.ReplaceAll(key, "/", "+") + "@" + strconv.FormatUint(uint64(num), 10)
}

// splitName is the opposite; ok is false for what is no name of ours.
func splitName(name string) (key string, num uint32, ok bool) {
	left, right, ok := strings.Cut(name, "@")
	if !ok {
		return "", 0, false
	}
	n, err := strconv.ParseUint(right, 10, 32)
	key = strings.ReplaceAll(left, "+", "/")
	if err != nil || n == 0 || cluster.CheckKey(key) != nil || fileName(key, uint32(n)) != name {
		return "", 0, false
	}
	return key, uint32(n), true
}

// A listing is what the directory holds: of each key the numbers of its files,
// ascending.
type listing map[string][]uint32

func (l listing) last(key string) uint32 {
	if nums := l[key]; len(nums) > 0 {
		return nums[len(nums)-1]
	}
	return 0
}

// list reads the directory; temps are what processes have begun to write.
func list(root *os.Root) (l listing, temps []string, err error) {
	d, err := root.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	l = listing{}
	for n := 0; ; {
		names, err := d.Readdirnames(1000)
		for _, name := range names {
			if key, num, ok := splitName(name); ok {
				l[key] = append(l[key], num)
			} else if strings.HasPrefix(name, tempPrefix) {
				temps = append(temps, name)
			}
		}
		if n += len(names); n > maxFiles {
			return nil, nil, fmt.Errorf("%w: more than %d files", cluster.ErrTooMany, maxFiles)
		}
		if errors.Is(err, io.EOF) || err == nil && len(names) == 0 {
			break
		}
		if err != nil {
			return nil, nil, err
		}
	}
	for _, nums := range l {
		slices.Sort(nums)
	}
	return l, temps, nil
}

// read reads a file. An error is one of the file system, or that it is gone;
// what is no write of ours is a file that is bad.
func (s *store) read(root *os.Root, key string, num uint32) (*file, error) {
	f := &file{name: fileName(key, num), num: num}
	f.Rev = uint64(num) << 32
	info, err := root.Lstat(f.name)
	if err != nil {
		return nil, err
	}
	f.since = info.ModTime()
	if f.bad = acceptable(info); f.bad != nil {
		return f, nil
	}
	h, err := root.OpenFile(f.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	opened, err := h.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, opened) {
		return nil, fs.ErrNotExist // replaced: look again
	}
	if opened.Size() > headSize+cluster.MaxValue {
		f.bad = badFile(f.name, "is too large")
		return f, nil
	}
	data := make([]byte, opened.Size())
	if _, err := io.ReadFull(h, data); err != nil {
		f.bad = badFile(f.name, "is cut")
		return f, nil
	}
	s.parse(f, key, data)
	return f, nil
}

func badFile(name, why string) error { return fmt.Errorf("%w: %s %s", cluster.ErrValue, name, why) }

// acceptable returns an error unless a file is one that we or root have written.
func acceptable(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return badFile(info.Name(), "is not a regular file")
	case info.Size() > headSize+cluster.MaxValue:
		return badFile(info.Name(), "is too large")
	case !trusted(info):
		return badFile(info.Name(), "belongs to another user")
	}
	return nil
}

// parse reads what stands in a file.
func (s *store) parse(f *file, key string, data []byte) {
	f.bad = badFile(f.name, "is damaged, or was written by something else")
	if len(data) < headSize || string(data[:4]) != magic {
		return
	}
	f.kind = data[4]
	random, ms, sum := binary.BigEndian.Uint32(data[8:]), binary.BigEndian.Uint64(data[12:]), binary.BigEndian.Uint32(data[20:])
	body := data[headSize:]
	ttl := time.Duration(ms) * time.Millisecond
	if f.kind != kindValue && f.kind != kindGone || checksum(data) != sum || ms > uint64(cluster.MaxTTL/time.Millisecond) {
		return
	}
	f.bad, f.Data = nil, body
	f.Rev |= uint64(random)
	copy(f.before[:], data[24:])
	if ttl > 0 {
		f.until = s.ends.At(key, f.Rev, ttl, s.clock().Sub(f.since))
	}
}

// checksum is that of all but the checksum itself.
func checksum(b []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(b[:20]), crc32.IEEETable, b[24:])
}

// follows reports whether the file is the write w with the number num, or one
// that came after it; known is false if that is too long ago.
func (f *file) follows(num, random uint32) (follows, known bool) {
	back := int64(f.num) - int64(num)
	switch {
	case f.bad != nil || back < 0 || back > keptRevs:
		return false, false
	case back == 0:
		return uint32(f.Rev) == random, true
	}
	return binary.BigEndian.Uint32(f.before[4*(back-1):]) == random, true
}

// written is a file that has no number yet.
type written struct {
	temp   string
	random uint32
}

// write writes a file, to follow last, under a name that nobody reads.
func (s *store) write(root *os.Root, kind byte, data []byte, ttl time.Duration, last *file) (written, error) {
	var random [12]byte
	rand.Read(random[:])
	w := written{fmt.Sprintf("%s%x", tempPrefix, random[4:]), binary.BigEndian.Uint32(random[:])}
	b := make([]byte, headSize, headSize+len(data))
	copy(b, magic)
	b[4] = kind
	binary.BigEndian.PutUint32(b[8:], w.random)
	ms := (ttl + time.Millisecond - 1) / time.Millisecond
	binary.BigEndian.PutUint64(b[12:], uint64(ms))
	if last != nil {
		binary.BigEndian.PutUint32(b[24:], uint32(last.Rev))
		copy(b[28:], last.before[:])
	}
	b = append(b, data...)
	binary.BigEndian.PutUint32(b[20:], checksum(b))
	f, err := root.OpenFile(w.temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return w, err
	}
	_, err = f.Write(b)
	if info, statErr := f.Stat(); err == nil && statErr == nil {
		s.ahead.Store(int64(time.Until(info.ModTime())))
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		root.Remove(w.temp)
	}
	return w, err
}

// nextNum returns the number of the write after num.
func nextNum(key string, num uint32) (uint32, error) {
	if num == math.MaxUint32 {
		return 0, badFile(fileName(key, num), "has the last number")
	}
	return num + 1, nil
}
