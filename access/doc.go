// Package access says who a client is and decides who may connect.
//
// Rules hold the operator's configuration: regular expressions for addresses
// and names (allow, deny), networks (cidr_allow, cidr_deny), files of both,
// users and groups of UNIX clients, and whether names are looked up.
// Rules.Compile checks everything at once and makes an immutable Policy. A
// Store follows the rule files and swaps in a new Policy when they change.
//
// The verdict on a client falls as early as possible. Policy.Early knows only
// the address and is called before any byte is read; where a name can still
// change the outcome, Lookups finds it and Policy.Decide gives the final
// verdict. Policy.Check does these steps in order.
//
// The decisions are those of Net::Server's allow_deny. DIFFERENCES.md lists
// the exceptions, and a test keeps that list true.
//
// Of this module it imports conf. Start reading at Policy (policy.go) and
// Rules.Compile (compile.go).
package access
