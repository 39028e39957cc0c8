// Command hello greets clients over TCP and TLS. It is the example of the
// README.
package main
