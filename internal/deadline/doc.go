// Package deadline bounds how long a client may keep the server waiting: the
// nearest of its handler's deadlines, its idle time, its life and the time of a
// write (Limits), and the bytes that must pass while the server waits for it
// (Rates). It imports nothing of this module. Start with Limits.
package deadline
