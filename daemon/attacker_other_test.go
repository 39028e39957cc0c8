//go:build unix && !linux

package daemon_test

func attacker([]string) int { return 0 }

func hostile() int { return 0 }

func fenced([]string) int { return 0 }
