package frame

import (
	"encoding/binary"
	"math"
)

// AppendHeader appends the header of a file with used bytes of data, header
// included.
func AppendHeader(dst []byte, used int64) []byte {
	dst = binary.LittleEndian.AppendUint32(dst, uint32(used))
	return append(dst, 0, 0, 0, 0)
}

// AppendEntry appends an entry to dst, whose length is a multiple of eight. The
// stamp is left out if the layout has none.
func (l Layout) AppendEntry(dst, key []byte, value, stamp float64) []byte {
	start := len(dst)
	dst = append(append(dst, 0, 0, 0, 0), key...)
	end := len(dst)
	dst = append(dst, "        "[:8-end%8]...)
	if !l.Bare {
		end = len(dst)
	}
	binary.LittleEndian.PutUint32(dst[start:], uint32(end-start-lengthSize))
	dst = AppendFloat(dst, value)
	if l.Stamped {
		dst = AppendFloat(dst, stamp)
	}
	return dst
}

// AppendFloat appends a number, such as a value.
func AppendFloat(dst []byte, number float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(number))
}
