// Package sock opens, inherits and passes listening sockets, and turns
// datagram sockets and single connections into listeners.
//
// Listen opens one port and ListenAll opens many, all of them or none. Both
// give net.Listeners that can do more:
//
//   - a *StreamListener (tcp, unix) accepts plain *net.TCPConn and
//     *net.UnixConn values, so that the kernel can still splice between them;
//   - a *DatagramListener (udp, unixgram) accepts each datagram as a
//     *DatagramConn, which reads the packet and then io.EOF, and whose writes
//     answer the sender.
//
// Both have SetDeadline, which interrupts Accept, and Spec, which tells the
// real port. File and FromFile hand a listener to another process; Once makes
// a listener of the one connection that inetd gives.
package sock
