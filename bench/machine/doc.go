// Package machine says what a measurement was made on: processor, kernel,
// limits, and how much else the machine had to do.
//
// It imports nothing of this module. Start reading at Processor.
package machine
