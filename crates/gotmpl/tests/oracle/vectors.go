// Random printf calls.
package main

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"time"
)

const vectorCount = 5000

// constants are the arguments that vectors refer to by number; tests/suite/world.rs has the same list.
func constants() []any {
	d := data().(map[string]any)
	return []any{
		nil, true, false, 0, 1, -1, 42, -1234567, math.MaxInt64, math.MinInt64, int64(77), uint8(200), uint64(math.MaxUint64),
		"", "hello", "a\xffb", "héé↑\u00a0\u200b", "tab\there \"quoted\" `back`", "日本語\U0001F600\x7f",
		0.0, math.Copysign(0, -1), 1.0, -2.5, 1e6, 1e20, 1e21, 123456789.0, 1e-5, 0.0001, math.Inf(1), math.Inf(-1), math.NaN(),
		math.MaxFloat64, math.SmallestNonzeroFloat64, 100000.0, 0.1, 1.0 / 3,
		[]any{1, "two", nil, 4.5, true}, []string{"x", "y z"}, []int{3, -1}, []byte("hi\x00"), []any{}, []string(nil),
		map[string]any{"a": 1, "b": map[string]any{"c": "deep"}, "n": nil}, map[string]string{"k": "v"}, map[string]any{},
		d["values"], 90 * time.Second, 8364, 0x1F600, 0xD800, 0x110000, int('x'),
	}
}

const verbs = "vvvvvdsqxXobcUtefgGEFTOwpz%!"

func directive(r *rand.Rand, args int) string {
	var s strings.Builder
	s.WriteByte('%')
	for _, flag := range "+-# 0" {
		if r.Intn(4) == 0 {
			s.WriteRune(flag)
		}
	}
	index := func() {
		if r.Intn(30) == 0 {
			s.WriteString([]string{"[1]", "[2]", "[9]", "[x]", "[", "[]", "[-1]", "[0]"}[r.Intn(8)])
		}
	}
	size := func() {
		switch r.Intn(8) {
		case 0, 1, 2:
			s.WriteString(strconv.Itoa(r.Intn(24)))
		case 3:
			s.WriteByte('*')
		}
	}
	index()
	size()
	if r.Intn(3) == 0 {
		s.WriteByte('.')
		index()
		size()
	}
	index()
	if r.Intn(60) != 0 {
		s.WriteByte(verbs[r.Intn(len(verbs))])
	}
	return s.String()
}

// vectors writes one call a line: the format, its arguments and the result. An argument is the number of
// a constant, or the bits of a float after an f.
func vectors() string {
	r := rand.New(rand.NewSource(1))
	all := constants()
	var out strings.Builder
	for n := 0; n < vectorCount; {
		count := 1 + r.Intn(2)
		args, names := make([]any, count), make([]string, count)
		for i := range args {
			if r.Intn(4) == 0 {
				f := math.Float64frombits(r.Uint64())
				if r.Intn(2) == 0 {
					f = float64(r.Intn(1000000)) / math.Pow10(r.Intn(8))
				}
				args[i], names[i] = f, fmt.Sprintf("f%x", math.Float64bits(f))
				continue
			}
			c := r.Intn(len(all))
			args[i], names[i] = all[c], strconv.Itoa(c)
		}
		format := directive(r, count)
		if r.Intn(3) == 0 {
			format = "<" + format + "|" + directive(r, count) + ">"
		}
		if strings.Contains(format, "p") {
			// Addresses differ from run to run.
			for i := range args {
				args[i], names[i] = 5*i+1, strconv.Itoa(4)
			}
			args = args[:1]
			names = names[:1]
		}
		result := fmt.Sprintf(format, args...)
		if len(result) > 200 {
			continue
		}
		n++
		fmt.Fprintf(&out, "%s\t%s\t%s\n", strconv.Quote(format), strings.Join(names, " "), strconv.Quote(result))
	}
	return out.String()
}
