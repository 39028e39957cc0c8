// Package command is how the measuring programs start: their flags, their bounds
// and their end.
//
// Of this module it imports bench/peers. Start reading at Main.
package command
