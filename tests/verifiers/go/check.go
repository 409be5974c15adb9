package main

import (
	"fmt"
	"strings"
)

// Runs one check, and prints how it ended.
func check(name string, body func() error) {
	if err := body(); err != nil {
		failures++
		fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " "))
		return
	}
	fmt.Printf("ok %s\n", name)
}

var failures int

// A token that must be refused, and a word of the reason: one that is refused for another reason was never judged by what is wrong
// with it.
type refusal struct {
	what, token, because string
}

// Checks that a target refuses each of them for its reason. `judge` gives what the target says against a token.
func checkRefusals(target string, judge func(token string) error, refusals []refusal) {
	for _, one := range refusals {
		check(target+": refuses "+one.what, func() error {
			return refusedFor(judge(one.token), one.because)
		})
	}
}

// No error if there is one, with these words in it.
func refusedFor(err error, because string) error {
	switch {
	case err == nil:
		return fmt.Errorf("it was taken")
	case !strings.Contains(err.Error(), because):
		return fmt.Errorf("refused, but not because of %q: %w", because, err)
	}
	return nil
}
