// The parts of the bridges' targets that judge tokens, in one program: each is the target's own code, configured with
// what Passmint prints for it, and receives tokens of the running server. ../run starts it.
package main

import (
	"fmt"
	"os"
)

func main() {
	given, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	kubernetes(given)
	vault(given)
	storage(given)
	if failures > 0 {
		os.Exit(1)
	}
}
