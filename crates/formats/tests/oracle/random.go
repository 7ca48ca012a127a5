package main

import (
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
)

// source makes random scalars, values and damage.
type source struct{ *rand.Rand }

func newSource(seed int64) source { return source{rand.New(rand.NewSource(seed))} }

func (s source) pick(items []string) string { return items[s.Intn(len(items))] }

func (s source) chance(percent int) bool { return s.Intn(100) < percent }

var words = strings.Fields(`a b name image nginx http://x.y:80/z app.kubernetes.io/name 10.0.0.1 1.2.3 v1 apps/v1 ClusterIP
	kube-system {{.Values.x}} $(VAR) a=b --flag -x some/path/to/it *.example.com e f on-failure no1 Ünïcode 日本語 😀 it's "q" 100m 1Gi`)

var special = []string{
	"", "~", "null", "Null", "NULL", "nULL", "true", "True", "TRUE", "tRUE", "false", "y", "Y", "yes", "Yes", "n", "N", "no", "NO",
	"on", "On", "off", "OFF", "oFF", ".nan", ".NaN", ".inf", "-.inf", "+.INF", "+.nan", "0", "-0", "+0", "00", "01", "08", "0o7", "0O17", "0o8",
	"0x1F", "0X1f", "-0x1F", "0x", "0xg", "0b101", "0B1", "0b2", "-0b11", "0b-1", "0b", "1_000", "_1", "1__0", "1_", "0x_1", "-_1", "+_",
	"1.", ".5", ".", "..", "...x", "-.5", "+.5", "1e3", "1E+3", "1e", "1e-", "1.5e-7", ".5e3", ".4_9", "._4", ".4_", "1.5_0", "1e400", "-1e400", ".1e400",
	"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616",
	"0xffffffffffffffff", "1:30", "190:20:30", "190:20:30.15", "-1:5", "1:60", "1:6:", "12e03", "123456789012345678901234567890",
	"2001-01-01", "2001-1-1", "2001-13-01", "2001-02-29", "2004-02-29", "2001-01-01T01:02:03Z", "2001-01-01t1:2:3.5+01:00", "2001-01-01 10:11:12",
	"2001-01-01  10:11:12.123", "2001-01-01 10:11", "2001-01-01T10:11:12", "2001-01-01T10:11:12,5Z", "2001-01-01T25:11:12Z", "20011-01-01", "2001-1-1x",
	"<<", "=", "!", "!!", "!a", "&", "&a", "*", "*a", "-", "--", "---", "--- a", "...", "?", "? a", ":", ": a", "a:", "a: b", "a:b", "::", "a #b", "a# b", "#a", "# a",
	"[", "]", "{", "}", "[a", "{a}", ",", "a,b", "|", ">", "|-", "%", "%a", "@", "@a", "`", "'", "\"", "''", "a'b", "\\", "\\n", "a\\b",
	" ", "  ", " a", "a ", "a  b", "\t", "a\tb", "\ta", "a\t", "\n", "\n\n", "a\n", "a\nb", "a\nb\n", "a\n\nb", " a\nb", "\na", "a\n ", "a \nb", "a\n b", "a\n\n\n", "\ta\nb", "a\tb\nc",
	"\u0000", "\u0007", "\u001b", "\r", "a\rb", "\r\n", "a\r\nb", "\u007f", "\u0080", "\u0085", "a\u0085b", "a \u0085 b", "\u00a0", "\u2028", "a\u2028b", "a\u2029\nb", "\ufeff", "\ufeffa b", "a\ufeff", "\ufffd", "\ufffe", "\U0010ffff",
	"y: z", "- a", "-a", "- ", "-\ta", "a: ", "a :b", "http://a", "key: [a, b]", "!!str a", "&x y", "true ", "1 ", "é", "éa b", "ａ",
}

// scalar gives a string that is more or less hard to print and to read.
func (s source) scalar() string {
	switch s.Intn(10) {
	case 0, 1, 2:
		return s.pick(special)
	case 3, 4, 5:
		return s.pick(words)
	case 6:
		return s.number()
	case 7:
		var lines []string
		for range 1 + s.Intn(4) {
			lines = append(lines, s.sentence(s.Intn(30)))
		}
		return strings.Join(lines, s.pick([]string{"\n", "\n", "\n\n", "\n ", "\n\n\n"})) + s.pick([]string{"", "\n", "\n\n"})
	case 8:
		return s.sentence(1 + s.Intn(40))
	default:
		return s.soup("ab 1:-#,[]{}&*!|>'\"%@`?\n\t\\~.=é", 1+s.Intn(12))
	}
}

func (s source) sentence(count int) string {
	var parts []string
	for range count {
		parts = append(parts, s.pick(words))
	}
	return strings.Join(parts, s.pick([]string{" ", " ", " ", " ", "  ", "\t"}))
}

func (s source) soup(alphabet string, length int) string {
	runes := []rune(alphabet)
	var text strings.Builder
	for range length {
		text.WriteRune(runes[s.Intn(len(runes))])
	}
	return text.String()
}

func (s source) number() string {
	switch s.Intn(6) {
	case 0:
		return strconv.Itoa(s.Intn(100000))
	case 1:
		return strconv.FormatInt(int64(s.Uint64()), 10)
	case 2:
		return strconv.FormatFloat(s.float(), 'g', -1, 64)
	case 3:
		return strconv.FormatFloat(s.NormFloat64()*1000, 'f', s.Intn(5), 64)
	case 4:
		return s.soup("0123456789", 1+s.Intn(4)) + s.soup("0123456789._eExXboa+-:", 1+s.Intn(8))
	default:
		return s.pick([]string{"", "-", "+"}) + s.pick([]string{"0x", "0o", "0b", "0", "."}) + s.soup("0123456789abf_", s.Intn(8))
	}
}

// float gives any finite float, often one with few digits.
func (s source) float() float64 {
	switch s.Intn(4) {
	case 0:
		return float64(s.Intn(2000000) - 1000000)
	case 1:
		return float64(s.Intn(1000)) * math.Pow10(s.Intn(60)-30)
	case 2:
		return s.NormFloat64()
	}
	for {
		if f := math.Float64frombits(s.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return f
		}
	}
}

func (s source) key() string {
	switch s.Intn(8) {
	case 0:
		return s.scalar()
	case 1:
		return s.soup("aZ19_0-. é", 1+s.Intn(6))
	case 2:
		return s.soup("ab01", 1+s.Intn(5))
	case 3:
		if s.chance(20) {
			return strings.Repeat(s.pick(words), 1+s.Intn(200))
		}
	}
	return s.pick(words)
}

// value gives a random tree as json.Unmarshal would.
func (s source) value(depth int) any {
	kind := s.Intn(10)
	if depth <= 0 && kind < 5 {
		kind += 5
	}
	switch kind {
	case 0, 1, 2:
		m := map[string]any{}
		for range s.Intn(6) {
			m[s.key()] = s.value(depth - 1)
		}
		return m
	case 3, 4:
		l := []any{}
		for range s.Intn(5) {
			l = append(l, s.value(depth-1))
		}
		return l
	case 5:
		return s.float()
	case 6:
		return []any{nil, true, false, 0.0, "", map[string]any{}, []any{}, 1e21, 1e20, 123456789.0}[s.Intn(10)]
	default:
		return s.scalar()
	}
}

// damage changes a text in a few places.
func (s source) damage(text string) string {
	for range 1 + s.Intn(3) {
		at := 0
		if len(text) > 0 {
			at = s.Intn(len(text) + 1)
		}
		switch s.Intn(8) {
		case 0: // cut something out
			end := min(len(text), at+1+s.Intn(4))
			text = text[:at] + text[end:]
		case 1, 2, 3: // put an indicator in
			text = text[:at] + s.pick(indicators) + text[at:]
		case 4: // cut the rest off
			if s.chance(40) {
				text = text[:at]
			}
		case 5: // move a line in or out
			lines := strings.Split(text, "\n")
			line := s.Intn(len(lines))
			if s.chance(50) {
				lines[line] = s.pick([]string{" ", "  ", "\t", "- "}) + lines[line]
			} else {
				lines[line] = strings.TrimPrefix(lines[line], " ")
			}
			text = strings.Join(lines, "\n")
		case 6: // repeat or drop a line
			lines := strings.Split(text, "\n")
			line := s.Intn(len(lines))
			if s.chance(50) {
				lines = append(lines[:line+1], lines[line:]...)
			} else {
				lines = append(lines[:line:line], lines[line+1:]...)
			}
			text = strings.Join(lines, "\n")
		case 7:
			if s.chance(10) {
				text = text[:at] + string([]byte{byte(s.Intn(256))}) + text[at:]
			} else if s.chance(20) {
				text = strings.ReplaceAll(text, "\n", s.pick([]string{"\r\n", "\r", "\n\n", "\n# c\n"}))
			}
		}
	}
	return text
}

var indicators = []string{
	":", ": ", "-", "- ", "?", "? ", ",", "[", "]", "{", "}", "#", " #", "&a ", "*a", "*a ", "! ", "!!str ", "!!int ", "!x ", "|", ">", "|\n", ">-\n", "'", "\"", "%", "@", "`",
	"\n", "\n\n", " ", "\t", "\n---\n", "\n...\n", "---", "<<: ", "\\", "\\x4", "%YAML 1.1\n---\n", "~", "null", "a: ", "1: ", "[]", "{}", "{{ x }}", "\u0085", "\u2028", "\ufeff", "é", "\x01", "\x7f",
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return value
}
