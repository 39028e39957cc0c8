// Package stats has the little arithmetic and the forms of figures that the
// measuring programs share.
//
// It imports nothing of this module. Start reading at Median.
package stats
