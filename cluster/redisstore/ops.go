package redisstore

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"netserver/cluster"
)

const (
	magic    = "NSC1"
	headSize = len(magic) + 8 // and the revision
)

// change writes or deletes. KEYS: the value, the set of names. ARGV: the name, the
// channel, the head that has to be there ("" is none, "*" is any), the value ("" is
// none), its life in milliseconds. What was carried out is not refused when it
// comes again: the client of a cluster repeats it if the answer was lost.
const change = `
if ARGV[3] ~= '*' then
	local kind = redis.call('TYPE', KEYS[1]).ok
	local head = ''
	if kind == 'string' then
		head = redis.call('GETRANGE', KEYS[1], 0, 11)
	elseif kind ~= 'none' then
		return 0
	end
	if head ~= ARGV[3] then
		if ARGV[4] ~= '' and head == string.sub(ARGV[4], 1, 12) then return 1 end
		return 0
	end
end
if ARGV[4] == '' then
	redis.call('DEL', KEYS[1])
	redis.call('SREM', KEYS[2], ARGV[1])
elseif tonumber(ARGV[5]) > 0 then
	redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[5])
	redis.call('SADD', KEYS[2], ARGV[1])
else
	redis.call('SET', KEYS[1], ARGV[4])
	redis.call('SADD', KEYS[2], ARGV[1])
end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return 1`

func (s *store) valueKey(key string) string { return s.base + "v:" + key }
func (s *store) names() string              { return s.base + "keys" }
func (s *store) channel() string            { return s.base + "changed" }

// begin returns the context of a call.
func (s *store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if s.shut.Load() {
		return nil, nil, cluster.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Timeout)
	return ctx, cancel, nil
}

// Get implements cluster.Store.
func (s *store) Get(ctx context.Context, key string) (cluster.Value, error) {
	if err := cluster.CheckKey(key); err != nil {
		return cluster.Value{}, err
	}
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return cluster.Value{}, err
	}
	defer cancel()
	return s.get(ctx, key)
}

// get reads one byte more than there may be, and no more.
func (s *store) get(ctx context.Context, key string) (cluster.Value, error) {
	raw, err := s.c.GetRange(ctx, s.valueKey(key), 0, int64(headSize+cluster.MaxValue)).Result()
	if err != nil {
		return cluster.Value{}, s.told(err)
	}
	if raw == "" {
		return cluster.Value{}, fmt.Errorf("%s: %w", key, cluster.ErrNotFound)
	}
	rev := revision(raw)
	if rev == 0 || len(raw) > headSize+cluster.MaxValue {
		return cluster.Value{}, fmt.Errorf("%w: %s is too large or was written by something else", cluster.ErrValue, key)
	}
	return cluster.Value{Data: []byte(raw[headSize:]), Rev: rev}, nil
}

// revision returns the revision of a value's head; 0 is none.
func revision(raw string) uint64 {
	if len(raw) < headSize || raw[:len(magic)] != magic {
		return 0
	}
	return binary.BigEndian.Uint64([]byte(raw[len(magic):headSize]))
}

func head(rev uint64) []byte { return binary.BigEndian.AppendUint64([]byte(magic), rev) }

// Put implements cluster.Store.
func (s *store) Put(ctx context.Context, key string, data []byte, rev uint64, ttl time.Duration) (uint64, error) {
	there := ""
	if rev != 0 {
		there = string(head(rev))
	}
	return s.write(ctx, key, data, ttl, there)
}

// Set implements cluster.Store.
func (s *store) Set(ctx context.Context, key string, data []byte, ttl time.Duration) (uint64, error) {
	return s.write(ctx, key, data, ttl, "*")
}

func (s *store) write(ctx context.Context, key string, data []byte, ttl time.Duration, there string) (uint64, error) {
	if err := cluster.CheckWrite(key, data, ttl); err != nil {
		return 0, err
	}
	// Revisions are random: one that is counted would come again for another
	// value after a backup was restored.
	var random [8]byte
	rand.Read(random[:])
	rev := max(1, binary.BigEndian.Uint64(random[:]))
	ms := (ttl + time.Millisecond - 1) / time.Millisecond
	return rev, s.change(ctx, key, there, append(head(rev), data...), int64(ms))
}

// Delete implements cluster.Store.
func (s *store) Delete(ctx context.Context, key string, rev uint64) error {
	if err := cluster.CheckKey(key); err != nil {
		return err
	}
	there := "*"
	if rev != 0 {
		there = string(head(rev))
	}
	return s.change(ctx, key, there, nil, 0)
}

func (s *store) change(ctx context.Context, key, there string, value []byte, ms int64) error {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	keys := []string{s.valueKey(key), s.names()}
	done, err := redis.NewScript(change).Run(ctx, s.c, keys, key, s.channel(), there, value, ms).Int()
	switch {
	case errors.Is(err, redis.Nil):
		return fmt.Errorf("%w: the server answers a script with nothing", cluster.ErrValue)
	case err != nil:
		return s.told(err)
	case done == 0:
		return fmt.Errorf("%s: %w", key, cluster.ErrChanged)
	}
	return nil
}
