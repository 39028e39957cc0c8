// Package access says who a client is and decides who may connect.
//
// Rules hold what an operator wrote: regular expressions for addresses and
// names (allow, deny), networks (cidr_allow, cidr_deny), files of both, the
// users and groups of UNIX clients, and whether names are looked up.
// Rules.Compile checks all of it at once and makes a Policy, which never
// changes. A Store follows the rule files and swaps in a new Policy when they
// change.
//
// A client is decided on as early as the facts allow. Policy.Early knows only
// the address and is called before any byte is read; where a name can still
// change the outcome, Lookups finds it and Policy.Decide ends the matter.
// Policy.Check does these steps in order.
//
// The decisions are those of Net::Server's allow_deny. DIFFERENCES.md lists
// where they are not, and a test keeps that list true.
package access
