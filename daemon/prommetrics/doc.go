// Package prommetrics writes what a server has counted in the formats of
// Prometheus: text, OpenMetrics, and protobuf with native histograms, as the
// scraper asks. Of the module's packages it alone links
// github.com/prometheus/client_golang, so that a program that wants no metrics
// does not: the command hands Handler to package daemon, and a Go program may
// (daemon.Hooks.Metrics).
//
// Of this module it imports internal/control, whose names the metrics have.
// Start reading at Handler.
package prommetrics
