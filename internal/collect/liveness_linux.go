package collect

import (
	"bufio"
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// started returns when a process was started, in ticks since the system was, 0 if
// that is hidden from us; and whether it is there. One that has ended, but that
// nobody has waited for, is not.
func started(pid int) (ticks uint64, there bool) {
	// A process of somebody else may be hidden in /proc, but not from this.
	if errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return 0, false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, true
	}
	// The second field is a name in parentheses, which may have any in it.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, true
	}
	if state := fields[0][0]; state == 'Z' || state == 'X' {
		return 0, false
	}
	ticks, _ = strconv.ParseUint(string(fields[19]), 10, 64)
	return ticks, true
}

// mapping returns whether a process that is there has mapped a file: owner or
// stranger, unclear if we may not know. Of the file its inode and its name count: its
// device, and its directory, may look otherwise to the process.
func mapping(pid, dir int, name string) standing {
	var st unix.Stat_t
	if unix.Fstatat(dir, name, &st, 0) != nil {
		return unclear
	}
	f, err := os.Open("/proc/" + strconv.Itoa(pid) + "/maps")
	if err != nil {
		return unclear
	}
	defer f.Close()
	inode, end := strconv.FormatUint(st.Ino, 10), "/"+name
	lines, n := bufio.NewScanner(f), 0
	for ; lines.Scan(); n++ {
		// address perms offset dev inode path
		fields := strings.Fields(lines.Text())
		if len(fields) >= 6 && fields[4] == inode && strings.HasSuffix(strings.TrimSuffix(lines.Text(), " (deleted)"), end) {
			return owner
		}
	}
	if lines.Err() != nil || n == 0 {
		return unclear // it may have ended meanwhile
	}
	return stranger
}
