package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"gitlab-metrics-exporter/bench/internal/program"
)

// ticks of a second: the unit of times in /proc, on every Linux that Go is for.
const ticks = 100

// cpuSeconds returns the processor time that a process has used.
func cpuSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(string(stat))
}

// parseStat returns utime plus stime, in seconds. What the process is called,
// the second field, may contain anything.
func parseStat(stat string) (float64, error) {
	const utime, stime = 14 - 3, 15 - 3 // counted from the third field
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, fmt.Errorf("not a stat of a process: %q", stat)
	}
	sum := 0
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / ticks, nil
}

// memories returns the memory of each application's server.
func memories(apps []*application) (all []program.Memory, err error) {
	for _, app := range apps {
		memory, err := program.MemoryOf(app.server)
		if err != nil {
			return nil, err
		}
		all = append(all, memory)
	}
	return all, nil
}

// listeningOn returns the pid of the process that listens on a port of 127.0.0.1.
func listeningOn(port int) (int, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	inode, found := listener(string(table), port)
	if !found {
		return 0, fmt.Errorf("nobody listens on port %d", port)
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && target == "socket:["+inode+"]" {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, fmt.Errorf("no process of ours listens on port %d", port)
}

// listener returns the inode of the socket that listens on a port of 127.0.0.1,
// by the kernel's table.
func listener(table string, port int) (inode string, found bool) {
	const listening = "0A"
	address := fmt.Sprintf("0100007F:%04X", port)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) > 9 && fields[1] == address && fields[3] == listening {
			return fields[9], true
		}
	}
	return "", false
}
