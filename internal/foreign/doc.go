// Package foreign makes TCP sockets that connect from an address which is not
// this machine's, as transparent proxies do (IP_TRANSPARENT, Linux). That takes
// a capability, which a process that meets clients should not have: so one
// process makes the sockets and hands them over, bound, to another. Of this
// module it imports internal/childproc. Start with Bind and Source.
package foreign
