package router

import "sync/atomic"

// gate counts who is inside and can be shut, both in one word: once shut()
// returned, nobody enters, and who was inside is in the count.
type gate struct{ word atomic.Int64 }

const shutBit = 1 << 62

type entry int

const (
	entered entry = iota
	gateFull
	gateShut
)

// enter counts the caller in, unless the gate is shut or limit are inside.
func (g *gate) enter(limit int64) entry {
	for {
		v := g.word.Load()
		switch {
		case v&shutBit != 0:
			return gateShut
		case v >= limit:
			return gateFull
		case g.word.CompareAndSwap(v, v+1):
			return entered
		}
	}
}

// leave reports whether the caller was the last one inside a shut gate.
func (g *gate) leave() (last bool) { return g.word.Add(-1) == shutBit }

// shut reports whether nobody was inside; if somebody was, the last one to
// leave is told.
func (g *gate) shut() (empty bool) { return g.word.Or(shutBit)&^shutBit == 0 }
func (g *gate) open()              { g.word.And(^shutBit) }
func (g *gate) isShut() bool       { return g.word.Load()&shutBit != 0 }

// inside is how many are inside now.
func (g *gate) inside() int64 { return g.word.Load() &^ shutBit }
