// Package certfile reads certificates and private keys from files, checks that
// they belong together and are fit for a server, and says in one line what is
// wrong with a file and what to do about it. Reasons are written so that they
// follow the name of the file: "/etc/x.crt is empty".
package certfile
