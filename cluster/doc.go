// Package cluster is what servers on several machines share, and the store that
// carries it.
//
// A Store keeps small values under names: a directory (cluster/dirstore), Redis
// or Valkey (cluster/redisstore), NATS JetStream (cluster/natsstore), or what a
// program brings itself. cluster/storetest has the cases that each of them
// passes, and one in memory whose faults can be set. Each is a package of its
// own, so that a program links the clients that it uses and no others. A Node
// shares over it; the command's key cluster makes one (docs/CLUSTER.md).
//
// A store is not trusted: values are sealed before they go there, and what
// comes back is bounded and judged. It can deny sharing and nothing else.
//
// It imports small internal packages of this module only, never the engine.
// Start reading at Store (store.go), then Node (node.go).
package cluster
