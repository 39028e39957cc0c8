// Package storetest has the cases that every cluster.Store passes, and a store
// in memory whose faults can be set. It is for tests only, also for those of
// stores from outside this project:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T, namespace string) cluster.Store {
//			return open(t, namespace)
//		})
//	}
//
// It imports cluster alone. Start reading at Run (run.go) or at Memory
// (memory.go). Tests inside of package cluster, which cannot import this one,
// have the package name cluster_test.
package storetest
