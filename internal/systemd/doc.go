// Package systemd speaks to the service manager, systemd or one with its
// protocols: sockets that it opened (LISTEN_FDS), readiness and the watchdog
// (NOTIFY_SOCKET).
//
// Of this module it imports internal/descriptors. Start reading at Activated
// (activated.go) and Manager (notify.go).
package systemd
