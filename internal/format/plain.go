package format

import "encoding/binary"

// Plain returns how many bytes b has before the first backslash or character
// below U+0020. It looks at eight bytes at a time: for each byte the first
// term borrows into its highest bit if it is 0 after the exclusive or, or less
// than a space.
func Plain(b []byte) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		y := x ^ ones*'\\'
		if ((y-ones)&^y|(x-ones*' ')&^x)&high != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '\\' {
		i++
	}
	return i
}
