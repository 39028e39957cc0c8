// Package starter writes a first configuration for a chosen job, with
// certificates to try it: the command netserver init.
//
// It imports nothing of this module. Start reading at Write.
package starter
