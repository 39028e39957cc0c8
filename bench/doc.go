// Package bench measures netserver against what one would write by hand and
// against other programs, side by side in one run.
package bench
