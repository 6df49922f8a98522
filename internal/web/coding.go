package web

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zstd"
)

const (
	// blockSize is how much text is compressed at a time. Blocks do not refer
	// to each other, so that several cores can work on one page; smaller ones
	// cost a few percent of the page's size each time they are halved.
	blockSize = 256 << 10

	// maxCompressors is how many blocks are compressed at once at most, of all
	// pages together. That bounds the memory for it, about a megabyte each.
	maxCompressors = 4
)

// identity is how the absence of a coding is named.
const identity = "identity"

// A coding is a way to compress a page, block by block.
type coding struct {
	name  string
	begin []byte // stands before the first block
	pack  func(dst, block []byte) []byte
	// end appends what stands behind the last block of a page of this size and
	// checksum.
	end func(dst []byte, size, checksum uint32) []byte
}

// codings are those that we have, in our order: what makes a scrape shorter
// comes first. docs/performance.md has the figures.
var codings = []*coding{gzipCoding, zstdCoding}

// gzipCoding makes one member of all blocks: several would be allowed, but
// many clients read only the first.
var gzipCoding = &coding{
	name:  "gzip",
	begin: []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 4, 255}, // deflate, no time, fastest, no system
	pack:  deflate,
	end: func(dst []byte, size, checksum uint32) []byte {
		dst = append(dst, 3, 0) // an empty block that says it is the last
		dst = binary.LittleEndian.AppendUint32(dst, checksum)
		return binary.LittleEndian.AppendUint32(dst, size)
	},
}

// zstdCoding makes each block a frame, as the format allows.
var zstdCoding = &coding{
	name: "zstd",
	pack: func(dst, block []byte) []byte { return zstdEncoder().EncodeAll(block, dst) },
	end: func(dst []byte, size, _ uint32) []byte {
		if size == 0 {
			return zstdEncoder().EncodeAll(nil, dst) // nothing at all is no frame
		}
		return dst
	},
}

var (
	deflaters = sync.Pool{New: func() any {
		z, err := flate.NewWriter(io.Discard, flate.BestSpeed)
		if err != nil {
			panic(err) // the level is a constant
		}
		return z
	}}

	// zstdEncoder is made when somebody asks for it: hardly anybody does.
	zstdEncoder = sync.OnceValue(func() *zstd.Encoder {
		z, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(compressors()),
			zstd.WithWindowSize(blockSize), zstd.WithLowerEncoderMem(true), zstd.WithZeroFrames(true))
		if err != nil {
			panic(err) // the options are constants
		}
		return z
	})
)

// deflate appends a block, compressed, up to a byte's end.
func deflate(dst, block []byte) []byte {
	z := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(z)
	to := appender(dst)
	z.Reset(&to)
	_, _ = z.Write(block) // an appender does not fail
	_ = z.Flush()
	return to
}

// An appender is an io.Writer into memory.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}

// compressors returns how many blocks may be compressed at once.
func compressors() int { return min(runtime.GOMAXPROCS(0), maxCompressors) }

// A press compresses pages, of which there may be any number at once. Use
// newPress.
type press struct {
	tokens chan struct{} // one for each block that is being compressed
	texts  sync.Pool     // of *buffer, for blocks
	packed sync.Pool     // of *buffer, for what becomes of them
}

type buffer struct{ bytes []byte }

func newPress() *press {
	return &press{
		tokens: make(chan struct{}, compressors()),
		texts:  sync.Pool{New: func() any { return &buffer{make([]byte, 0, blockSize)} }},
		packed: sync.Pool{New: func() any { return &buffer{} }},
	}
}

// writer returns what writes a page to w with a coding; nil means none. It
// must be closed, which ends the page, also after an error: nothing of it is
// in use afterwards.
func (p *press) writer(w io.Writer, c *coding) io.WriteCloser {
	if c == nil {
		return uncoded{w}
	}
	return &packer{press: p, coding: c, to: w, ahead: c.begin}
}

type uncoded struct{ io.Writer }

func (uncoded) Close() error { return nil }

// A packer writes one page. It has several blocks compressed side by side, but
// sends in order. While it waits for its client it holds a block of text and
// what is compressed already, but no token: nobody else waits.
type packer struct {
	*press
	coding   *coding
	to       io.Writer
	ahead    []byte         // to be sent before anything else
	filling  *buffer        // or nil
	packing  []chan *buffer // what becomes of the blocks before, in order
	size     uint32         // of the text so far, and its checksum
	checksum uint32
	err      error // the first of to
}

// Write implements io.Writer.
func (p *packer) Write(text []byte) (int, error) {
	p.size += uint32(len(text))
	p.checksum = crc32.Update(p.checksum, crc32.IEEETable, text)
	for rest := text; len(rest) > 0 && p.err == nil; {
		if p.filling == nil {
			p.filling = p.texts.Get().(*buffer)
		}
		n := min(len(rest), blockSize-len(p.filling.bytes))
		p.filling.bytes = append(p.filling.bytes, rest[:n]...)
		rest = rest[n:]
		if len(p.filling.bytes) == blockSize {
			p.start()
		}
	}
	return len(text), p.err
}

// start has the block that is filled compressed, while the next one is made.
func (p *packer) start() {
	for len(p.packing) >= cap(p.tokens) {
		p.sendFirst()
	}
	text, done := p.filling, make(chan *buffer, 1)
	p.filling = nil
	p.packing = append(p.packing, done)
	go func() { done <- p.pack(text) }()
}

// pack compresses a block, as soon as not too many others are.
func (p *packer) pack(text *buffer) *buffer {
	p.tokens <- struct{}{}
	defer func() { <-p.tokens }()
	b := p.packed.Get().(*buffer)
	b.bytes = p.coding.pack(b.bytes[:0], text.bytes)
	text.bytes = text.bytes[:0]
	p.texts.Put(text)
	return b
}

// sendFirst sends the block whose turn it is.
func (p *packer) sendFirst() {
	b := <-p.packing[0]
	p.packing = slices.Delete(p.packing, 0, 1)
	p.send(b.bytes)
	p.packed.Put(b)
}

func (p *packer) send(packed []byte) {
	for _, part := range [][]byte{p.ahead, packed} {
		if p.err == nil && len(part) > 0 {
			_, p.err = p.to.Write(part)
		}
	}
	p.ahead = nil
}

// Close implements io.Closer.
func (p *packer) Close() error {
	if p.filling != nil && len(p.packing) > 0 {
		p.start()
	}
	for len(p.packing) > 0 {
		p.sendFirst()
	}
	if p.filling != nil { // all there is: most pages are no larger
		b := p.pack(p.filling)
		p.send(b.bytes)
		p.packed.Put(b)
		p.filling = nil
	}
	p.send(p.coding.end(nil, p.size, p.checksum))
	return p.err
}

// negotiate returns the coding for a client that sent these Accept-Encoding
// headers, nil for none: the one that it prefers, or else we. A coding that it
// does not name, nor *, is not for it. It is false for a client that refuses
// whatever we have.
func negotiate(headers []string) (c *coding, ok bool) {
	weights := weigh(headers)
	best := 0.0
	for _, candidate := range codings {
		q, named := weights[candidate.name]
		if !named {
			q = weights["*"]
		}
		if q > best {
			c, best = candidate, q
		}
	}
	plain, named := weights[identity]
	if plain > best {
		return nil, true
	}
	return c, c != nil || !named
}

// weigh returns the weight that each coding is named with; 0 if it makes no
// sense.
func weigh(headers []string) map[string]float64 {
	weights := map[string]float64{}
	for _, header := range headers {
		for element := range strings.SplitSeq(header, ",") {
			name, parameters, _ := strings.Cut(element, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name == "x-gzip" {
				name = "gzip" // as it was called once
			}
			if _, again := weights[name]; !again {
				weights[name] = weight(parameters)
			}
		}
	}
	return weights
}

// weight returns what q is in parameters, which is 1 if there are none.
func weight(parameters string) float64 {
	if strings.TrimSpace(parameters) == "" {
		return 1
	}
	name, value, _ := strings.Cut(parameters, "=")
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !strings.EqualFold(strings.TrimSpace(name), "q") || err != nil || !(q >= 0) {
		return 0
	}
	return min(q, 1)
}
