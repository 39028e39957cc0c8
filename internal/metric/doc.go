// Package metric has what the server counts of itself: histograms and counters
// that clients' goroutines add to without a lock and without allocating, their
// sums, and the table of all families that the verb metrics shows.
//
// It imports outcome alone, whose classes are values of a label. Start reading
// at families in table.go; histogram.go is what is added to, sparse.go what
// travels from a worker to its supervisor, and set.go adds up.
package metric
