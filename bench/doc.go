// Package bench measures netserver against what one would write by hand and
// against other programs, side by side in one run.
//
// Its benchmarks compare the engine with a bare loop (go test -bench . ./bench).
// Six programs stand below it, for loopback addresses only:
//
//   - go run ./bench/compare -h: what connections, bytes and idle clients cost
//     netserver, loops written by hand, and stunnel, Hitch, HAProxy, nginx and
//     Perl's Net::Server, as far as they are installed;
//   - go run ./bench/exec -h: the same of a program for each client, in more
//     depth;
//   - go run ./bench/load -h: honest clients at a fixed rate, or as fast as the
//     server answers;
//   - go run ./bench/attack -h: what honest clients feel while others attack
//     netserver, a bare crypto/tls loop, stunnel, Hitch, HAProxy, nginx and
//     Perl's Net::Server, as far as they are installed;
//   - go run ./bench/restart -h: what clients feel while netserver restarts in
//     place;
//   - go run ./bench/soak -h: whether a netserver holds after a million clients
//     what it held before.
//
// They share the folders beside them: peers starts and accounts for servers,
// bare and serve are the loops to compare with, child and drive or honest the
// clients as processes of their own, chart, stats and machine what is written.
//
// The programs may import everything but cmd/netserver; nothing imports them.
// Start reading at compare_test.go, or at main.go of a program.
package bench
