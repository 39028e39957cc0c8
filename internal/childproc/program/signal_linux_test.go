package program_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"netserver/internal/childproc/program"
)

// nobody is a user that is not root.
const nobody = 65534

// helperKiller sends KILL to every thread of the process in victimVar until that
// has ended. It says when it has begun.
func helperKiller() {
	pid, _ := strconv.Atoi(os.Getenv(victimVar))
	fmt.Println("begun")
	for {
		threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil || len(threads) == 0 {
			return
		}
		for range 100 {
			for _, t := range threads {
				tid, _ := strconv.Atoi(t.Name())
				syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(pid), uintptr(tid), uintptr(syscall.SIGKILL))
			}
		}
	}
}

const victimVar = "PROGRAM_TEST_VICTIM"

// helperStarter starts programs as nobody, with limits, once it is told to.
func helperStarter() {
	bufio.NewReader(os.Stdin).ReadString('\n')
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	var s program.Starter
	cmd := &program.Command{Path: "/bin/true", Argv: []string{"true"}, Limits: program.Limits{Files: 20, CPU: 1e9, Memory: 1 << 30}, User: &program.Identity{UID: nobody, GID: nobody}}
	for range 200 {
		p, err := s.Start(cmd, nil, [3]*os.File{null, null, null})
		if err != nil {
			fmt.Println(err)
			return
		}
		<-p.Exited
	}
	fmt.Println("started all")
}

// A program cannot end the server that has started it as another user, not even
// while the server sets the limits of the next one.
func TestNoSignalToServer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root")
	}
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	name := filepath.Join(dir, "test")
	if err := os.WriteFile(name, self, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(dir, 0o755)

	starter := exec.Command(name)
	starter.Env = append(os.Environ(), helperVar+"=starter")
	var said bytes.Buffer
	starter.Stdout = &said
	begin, _ := starter.StdinPipe()
	if err := starter.Start(); err != nil {
		t.Fatal(err)
	}
	killer := exec.Command(name)
	killer.Env = append(os.Environ(), helperVar+"=killer", fmt.Sprintf("%s=%d", victimVar, starter.Process.Pid))
	killer.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, _ := killer.StdoutPipe()
	if err := killer.Start(); err != nil {
		t.Fatal(err)
	}
	bufio.NewReader(out).ReadString('\n')
	io.WriteString(begin, "go\n")
	if err := starter.Wait(); err != nil || said.String() != "started all\n" {
		t.Errorf("%v; %s", err, &said)
	}
	killer.Process.Kill()
	killer.Wait()
}
