// Package answer says one thing to everybody who connects, and hangs up: what
// ports with health do. It imports internal/slots. Start with Answers.
package answer
