// Package cipherlist reads OpenSSL's cipher strings, as SSL_cipher_list holds
// them, and gives the suites of crypto/tls that they select, in their order.
//
// It imports nothing of this module. Start reading at Parse (parse.go).
package cipherlist
