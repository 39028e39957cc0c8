// Package redisstore is a cluster.Store in Redis or Valkey: one server, several
// behind Sentinel, or a cluster.
//
// A value is a string key {NAMESPACE}:v:KEY; the set {NAMESPACE}:keys has the
// names, and each write is told on the channel {NAMESPACE}:changed. Puts are a
// script, so that they see and write at once. A user of Redis needs the commands
// get, getrange, type, set, del, sadd, srem, sscan, publish, subscribe, eval and
// evalsha, the keys {NAMESPACE}:* and the channel {NAMESPACE}:changed.
//
// What a server answers is bounded before the client library sees it: sizes,
// numbers and depth (limit.go). It imports package cluster. Start reading at
// Open (open.go).
package redisstore
