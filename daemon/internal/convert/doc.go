// Package convert reads conf files of other programs: it tells whose a file is,
// and writes those of stunnel and hitch as a TOML file of netserver.
//
// It may import nothing of this module. Start reading at Foreign in kind.go, and
// at Convert in convert.go.
package convert
