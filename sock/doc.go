// Package sock opens, inherits and passes listening sockets, and makes
// listeners of datagram sockets and single connections.
//
// Listen opens one port and ListenAll opens many, all of them or none. Both
// return net.Listeners with further methods:
//
//   - a *StreamListener (tcp, unix) accepts plain *net.TCPConn and
//     *net.UnixConn values, so that the kernel can still splice between them;
//   - a *DatagramListener (udp, unixgram) accepts each datagram as a
//     *DatagramConn, which reads the packet and then io.EOF, and whose writes
//     answer the sender.
//
// Both have SetDeadline, which interrupts Accept, and Spec, which returns the
// actual port. File and FromFile pass a listener to another process; Once
// makes a listener of the one connection that inetd passes.
//
// Of this module it imports conf, port and internal/place. Start reading at
// Listen (listen.go), StreamListener (stream.go) and DatagramListener
// (datagram.go).
package sock
