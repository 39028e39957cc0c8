// Package access says who a client is and decides who may connect.
package access
