package program

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Memory is what a process has, in MB of a million bytes. Peak is the most that it
// ever had resident.
type Memory struct{ Resident, Anonymous, File, Peak float64 }

// Memory returns how much memory the program has.
func (p *Program) Memory() (Memory, error) { return MemoryOf(p.PID()) }

// MemoryOf returns how much memory the process of that number has.
func MemoryOf(pid int) (Memory, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, err
	}
	status := Status(string(text))
	return Memory{MB(status["VmRSS"]), MB(status["RssAnon"]), MB(status["RssFile"]), MB(status["VmHWM"])}, nil
}

// MB returns MB of a million bytes, given what the kernel calls kB: 1024 bytes.
func MB(kB float64) float64 { return kB * 1024 / 1e6 }

// Status returns the numbers of a status file of the kernel, by their names; of memory
// in what it calls kB.
func Status(text string) map[string]float64 {
	numbers := map[string]float64{}
	for line := range strings.Lines(text) {
		name, rest, _ := strings.Cut(line, ":")
		if fields := strings.Fields(rest); len(fields) > 0 {
			if number, err := strconv.ParseFloat(fields[0], 64); err == nil {
				numbers[name] = number
			}
		}
	}
	return numbers
}
