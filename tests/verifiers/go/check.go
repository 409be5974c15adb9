package main

import (
	"fmt"
	"strings"
)

// Runs one check and prints its result.
func check(name string, body func() error) {
	if err := body(); err != nil {
		failures++
		fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok %s\n", name)
}

var failures int

// A token that must be refused, and a word of the expected reason: a token refused for another reason was never judged
// by its actual flaw.
type refusal struct {
	what, token, because string
}

// Checks that a target refuses each token for its reason. `judge` returns the target's error for a token.
func checkRefusals(target string, judge func(token string) error, refusals []refusal) {
	for _, one := range refusals {
		check(target+": refuses "+one.what, func() error {
			return refusedFor(judge(one.token), one.because)
		})
	}
}

// Returns nil if there is an error that contains these words.
func refusedFor(err error, because string) error {
	switch {
	case err == nil:
		return fmt.Errorf("it was taken")
	case !strings.Contains(err.Error(), because):
		return fmt.Errorf("refused, but not because of %q: %w", because, err)
	}
	return nil
}
