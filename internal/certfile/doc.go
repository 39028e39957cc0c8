// Package certfile reads certificates and private keys from files, checks that
// they belong together and suit a server, and reports in one line what is
// wrong with a file and what to do about it. Reasons follow the file's name:
// "/etc/x.crt is empty". It imports nothing of this module. Start reading at
// Loader (loader.go).
package certfile
