package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// The network of the namespaces; the program, the clients and HAProxy share one,
// so that clients are on loopback there.
const (
	network   = "10.15.0."
	frontHost = network + "10"
)

// spaces are the namespaces beside that of the bridge, and the ends of their
// addresses.
var spaces = [...]struct{ name, host string }{{"front", "10"}, {"a", "11"}, {"b", "12"}, {"c", "13"}, {"store", "2"}}

// inSpaces makes namespaces, runs this program in that of the front, and removes
// them.
func inSpaces(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	tag := fmt.Sprintf("ncb%d", os.Getpid())
	defer func() {
		for _, s := range spaces {
			ip("netns", "del", tag+"-"+s.name)
		}
		ip("netns", "del", tag+"-lan")
	}()
	if err := makeSpaces(tag); err != nil {
		return fmt.Errorf("%w; without network namespaces use -loopback", err)
	}
	// A signal is for the one inside, which ends what it has started.
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", tag + "-front", self, "-inside", tag}, args...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Stdout, cmd.Stderr = stdout, stderr
	return cmd.Run()
}

func makeSpaces(tag string) error {
	lan := tag + "-lan"
	errs := []error{
		ip("netns", "add", lan),
		ip("-n", lan, "link", "add", "bridge", "type", "bridge"),
		ip("-n", lan, "link", "set", "bridge", "up"),
	}
	for _, s := range spaces {
		space := tag + "-" + s.name
		errs = append(errs,
			ip("netns", "add", space),
			ip("-n", space, "link", "set", "lo", "up"),
			ip("link", "add", "eth0", "netns", space, "type", "veth", "peer", "name", "to-"+s.name, "netns", lan),
			ip("-n", lan, "link", "set", "dev", "to-"+s.name, "master", "bridge", "up"),
			ip("-n", space, "addr", "add", network+s.host+"/24", "dev", "eth0"),
			ip("-n", space, "link", "set", "eth0", "up"))
	}
	return errors.Join(errs...)
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
