package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Starts a program that writes to a log of this run; returns a function that ends it. It stays in this process's group,
// which ../run ends as well.
func start(given *given, name string, environment []string, command ...string) (func(), error) {
	log, err := os.Create(filepath.Join(given.work, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	child := exec.Command(command[0], command[1:]...)
	child.Env = append([]string{"PATH=" + os.Getenv("PATH")}, environment...)
	child.Stdout, child.Stderr = log, log
	if err := child.Start(); err != nil {
		return nil, err
	}
	return func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	}, nil
}

// Repeats `try` until it succeeds; returns the last error when the time is over.
func until(patience time.Duration, try func() error) error {
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("not after %s: %w", patience, err)
		}
	}
}
