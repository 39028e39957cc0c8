// Package chart draws groups of bars as SVG that can be read on light and on
// dark pages.
//
// It imports nothing of this module. Start reading at Chart.
package chart
