package status

import "testing"

func TestTexts(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{visible("plain é ש"), "plain é ש"},
		{visible("a\nb\x00\x1b\u202e\u00a0\uFFFD"), `a\nb\x00\x1b\u202e\u00a0` + "\uFFFD"},
		{string(breakable(`a_b<i>"_`)), "a_<wbr>b&lt;i&gt;&#34;_<wbr>"},
		{count(0), "0"},
		{count(999), "999"},
		{count(1000), "1\u202f000"},
		{count(-1234567), "−1\u202f234\u202f567"},
		{count(int64(12345)), "12\u202f345"},
		{signed(new(3)), "+3"},
		{signed(new(0)), "0"},
		{signed(new(-3)), "−3"},
		{size(0), "0\u00a0B"},
		{size(999), "999\u00a0B"},
		{size(int64(1000)), "1.00\u00a0kB"},
		{size(uint64(12345)), "12.3\u00a0kB"},
		{size(999_600), "1.00\u00a0MB"},
		{size(405_000_000), "405\u00a0MB"},
		{size(int64(5_000_000_000_000_000)), "5000\u00a0TB"},
		{seconds(0), "0.00\u00a0µs"},
		{seconds(0.000_012_34), "12.3\u00a0µs"},
		{seconds(0.000_999_6), "1.00\u00a0ms"},
		{seconds(0.0817), "81.7\u00a0ms"},
		{seconds(0.999_6), "1.00\u00a0s"},
		{seconds(61), "61.0\u00a0s"},
		{uptime(-1), "0\u00a0s"},
		{uptime(0.9), "0\u00a0s"},
		{uptime(59), "59\u00a0s"},
		{uptime(60), "1\u00a0min 0\u00a0s"},
		{uptime(86399), "23\u00a0h 59\u00a0min"},
		{uptime(2*86400 + 3*3600 + 4*60), "2\u00a0d 3\u00a0h"},
		{share(1, 0), "0"},
		{share(1, 3), "33.3"},
		{plural(1, "file", "files"), "file"},
		{plural(0, "file", "files"), "files"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
