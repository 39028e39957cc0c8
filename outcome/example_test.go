package outcome_test

import (
	"fmt"

	"netserver/outcome"
)

// Classes count clients by what became of them: Count is the length of such an
// array. A program would count in Hooks.Closed, by Record.Outcome.
func Example() {
	var clients [outcome.Count]int
	for _, c := range []outcome.Class{outcome.Served, outcome.Idle, outcome.Served, outcome.NotTLS} {
		clients[c]++
	}
	for c, n := range clients {
		if n > 0 {
			fmt.Printf("%s: %d\n", outcome.Class(c), n)
		}
	}
	// Output:
	// served: 2
	// idle timeout: 1
	// not tls: 1
}

func ExampleNames() {
	fmt.Println(len(outcome.Names()) == int(outcome.Count), outcome.Names()[outcome.Left])
	// Output:
	// true left
}
