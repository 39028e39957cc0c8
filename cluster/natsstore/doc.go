// Package natsstore is a cluster.Store in NATS JetStream, in a key-value bucket
// that has the name of the namespace and is made if it is missing. One that is
// to have replicas or a size limit is made before, as by
// "nats kv add NAMESPACE --replicas 3".
//
// The key a/b.c stands under the name a.b=c, since NATS wants dots where keys
// have slashes. A value begins with a head: its revision, which is random, and
// its ttl. Servers before 2.11 end single values not at all, so that readers do
// it, by the server's clock; that is learned from the time of a message in the
// bucket, =clock. A Watch removes what has been over for ten minutes.
//
// A user of NATS needs to publish to $KV.NAMESPACE.>, $JS.API.INFO,
// $JS.API.STREAM.CREATE, .INFO and .PURGE with .KV_NAMESPACE,
// $JS.API.DIRECT.GET.KV_NAMESPACE.>, $JS.API.CONSUMER.CREATE and .DELETE with
// .KV_NAMESPACE.> and $JS.FC.>, and to subscribe to _INBOX.>.
//
// What a server sends is bounded before the client library sees it (limit.go), and
// what it may leave lying for a Watch that is slow (feed.go): 16 MiB, and 16 values.
// It imports package cluster. Start reading at Open (open.go).
package natsstore
