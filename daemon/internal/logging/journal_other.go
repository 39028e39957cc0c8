//go:build !linux

package logging

import "net"

const canJournal = false

func sendEntry(c *net.UnixConn, entry []byte) error {
	_, err := c.Write(entry)
	return err
}
