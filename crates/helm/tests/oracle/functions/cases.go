package main

import (
	"math/rand"
	"strconv"
	"strings"
	"time"
)

type testCase struct{ area, expression string }

var random = rand.New(rand.NewSource(20261121))

func pick(choices ...string) string { return choices[random.Intn(len(choices))] }

func chance(percent int) bool { return random.Intn(100) < percent }

func quoted(text string) string { return strconv.Quote(text) }

// word is a short text of letters that are hard in different ways.
func word() string {
	var out strings.Builder
	for range random.Intn(9) {
		out.WriteString(pick("a", "b", "x", "A", "B", "Z", "0", "7", "_", "-", " ", ".", "/", ":", ",", "\n", "\t", "é", "É", "ß", "ǆ", "İ", "ſ", "中", "ა",
			"ᾳ", "\u00a0", "\u0085", "\u2028", "😀", "\xff", "\xe4\xb8", "HTTP", "Server", "foo", "bar", "2xx", "'", "\"", "$", "%", "\\", "!", "`", "*", "(", "\u0301", "\ufffd", "Ⅷ", "٣"))
	}
	return out.String()
}

func text() string {
	if chance(40) {
		return pick("", "abc", "foo bar", "Hello World", "foo,bar,baz", "a/b/c", "HTTPServer", "some_words", "GOLANG_IS_GREAT", "http2xx", "Bld4Floor3rd", "kebab-case-x",
			"  padded  ", "line1\nline2\n", "true", "12", "1.5", "-3", "0x1F", "the quick brown fox jumps over the lazy dog", "ünïcödé", "user@example.com", "a-b_c d", "aaa", "{{x}}")
	}
	return word()
}

func integer() string {
	return pick("0", "1", "2", "3", "4", "5", "7", "10", "12", "-1", "-2", "-5", "20", "100", "9223372036854775807", "-9223372036854775808")
}

func small() string { return pick("0", "1", "2", "3", "4", "5", "6", "7", "8", "10", "15", "-1", "-3") }

func number() string {
	return pick(integer(), "(int64 "+integer()+")", pick("1.5", "0.1", "-2.5", "1e3", "3.14159", "1e20", "0.0", "1e-7", "123456789.125", "2.675", "1e300", "0.30000000000000004"),
		quoted(pick("5", "1.0", "08", "0x1F", "0b11", "1_000", "0o17", "1e3", "", "x", " 1", "+7", "-0", "1.50", "0.0", ".5", "5.", "9223372036854775808", "inf", "NaN", "0x1p-2", "1__0", "0_7", "100.000")),
		"true", "false", "$.num", "$.int", "$.big", "$.nil", "$.str", "$.list", "nil", "$.yes", "(float64 "+pick("3", "2.5", "1e18", "1e19", "-1e30")+")")
}

func list() string {
	return pick("$.list", "$.strs", "$.none", "(list)", "(list 1 2 3)", `(list "b" "a" "b")`, `(list 1 1.0 "1" true nil)`, `(splitList "," "x,y,,z")`, "(until 4)", `(list (list 1) (dict "a" 1) (list 1))`,
		"(list nil nil)", `(list 0 "" false)`, `(rest (list))`, `(concat $.strs (list 5))`, `(list (int64 1) 1)`, "(chunk 2 (until 5))", `(keys $.map)`)
}

func dict() string {
	return pick("$.map", "$.void", "(dict)", `(dict "a" 1 "b" 2)`, `(dict "a" "x" "b" (dict "c" (dict "d" 1)))`, `(dict "a" nil)`, `(dict "b" (dict "c" 0 "f" 2))`, `(dict "a" "" "l" (list 1))`,
		`(dict "l" (list) "n" 5)`, `(dict "b" "text")`, `(fromYaml "a: {b: 1, c: [1]}\nl: []")`, `(fromYaml "")`, `(dict "z" false "b" (dict))`)
}

func value() string {
	return pick(number(), list(), dict(), quoted(text()), quoted(text()), "$.nil", "nil", "$.missing", "$.yes", "$.no", "$.empty", `(split "," "a,b")`, "$.map.b", `(toDate "2006-01-02" "2024-02-29")`, `(semver "v1.2.3-rc.1+b")`, `(mustToDuration "90s")`)
}

func layout() string {
	if chance(50) {
		return pick("2006-01-02", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "Mon Jan _2 15:04:05 2006", "Mon, 02 Jan 2006 15:04:05 MST", "3:04PM", "02 Jan 06 15:04 -0700",
			"Monday, 02-Jan-06 15:04:05 MST", "2006-01-02 15:04:05.000", "15:04:05", "20060102150405", "January 2, 2006", "2006-002")
	}
	var out strings.Builder
	for range 1 + random.Intn(6) {
		out.WriteString(pick("2006", "06", "01", "1", "Jan", "January", "02", "2", "_2", "002", "__2", "Mon", "Monday", "15", "3", "03", "4", "04", "5", "05", "PM", "pm", "MST", "-0700", "-07:00", "-07",
			"Z07:00", "Z0700", "Z07", "-070000", "Z07:00:00", ".000", ".999", ",000000", ".9999999999", "_2006", "Janet", "Month", "T", " ", "-", "/", ":", "é", "0", "x"))
		out.WriteString(pick("", " ", "-", ":", ""))
	}
	return out.String()
}

var instants = []int64{0, 1, -1, 1709210096, 1710054000, 1710057600, 1730613600, 1730617200, 951782400, 4102444800, -62135596800, 253402300799, 1136239445, 1700000000}

func date() string {
	seconds := strconv.FormatInt(instants[random.Intn(len(instants))]+int64(random.Intn(7))*3601, 10)
	return pick("(int64 "+quoted(seconds)+")", "(int "+quoted(seconds)+")", `(toDate "2006-01-02 15:04:05" "2024-03-10 02:30:00")`, `(toDate "2006-01-02T15:04:05.999999999Z07:00" "2023-11-05T01:30:00.123456789-04:00")`,
		`(toDate "2006-01-02T15:04:05.999999999Z07:00" "2023-07-05T01:30:00.5+05:30")`, `(toDate "Mon, 02 Jan 2006 15:04:05 MST" "Tue, 10 Nov 2009 23:00:00 CEST")`, `(toDate "2006" "bad")`)
}

func instant() string {
	return pick(`(toDate "2006-01-02 15:04:05" "2024-03-10 02:30:00")`, `(toDate "2006-01-02" "2023-11-05")`, `(toDate "2006-01-02T15:04:05.999999999Z07:00" "2023-11-05T01:30:00.123456789-04:00")`,
		`(toDate "2006-01-02T15:04:05Z07:00" "1999-12-31T23:59:60Z")`, `(toDate "x" "bad")`, `(toDate "2006-01-02T15:04:05Z07:00" "2023-07-05T01:30:00+05:30")`)
}

// dateText is a date that a layout may have written, perhaps damaged.
func dateText(layout string) string {
	zones := []string{"UTC", "America/New_York", "Asia/Kolkata", "Europe/Berlin"}
	zone, _ := time.LoadLocation(zones[random.Intn(len(zones))])
	t := time.Unix(instants[random.Intn(len(instants))]+int64(random.Intn(100000)), int64(random.Intn(3))*123456789).In(zone)
	out := t.Format(layout)
	if chance(35) && len(out) > 0 {
		at := random.Intn(len(out))
		out = out[:at] + pick("", "9", "x", " ", "0", ".5", "-", "32") + out[at+random.Intn(len(out)-at+1):]
	}
	return out
}

func zone() string {
	return pick("UTC", "Local", "", "America/New_York", "Europe/Berlin", "Asia/Kolkata", "Asia/Tokyo", "Australia/Lord_Howe", "Nowhere/City", "GMT", "utc", "Etc/GMT+5", "America/Sao_Paulo", "../UTC", "Antarctica/Troll")
}

func duration() string {
	if chance(40) {
		return pick("1h", "90m", "1h30m", "1.5h", "-2s", "100ms", "1us", "1µs", "1μs", "5ns", "0", "", "1d", "h", "1", "1.s", ".5s", "-.5s", "+3m", "9223372036854775807ns", "9223372036854775808ns",
			"-9223372036854775808ns", "2562047h47m16.854775807s", "300000h", " 5s ", "1e3", "2.5", "inf", "1h 5m", "3s\"x", "1é", "400d", "9000h", "1000000h", "12345.678s")
	}
	var out strings.Builder
	out.WriteString(pick("", "", "-"))
	for range 1 + random.Intn(3) {
		out.WriteString(pick("1", "2", "59", "61", "1000", "0.25", "12.345678901", "007") + pick("h", "m", "s", "ms", "us", "ns", "s"))
	}
	return out.String()
}

var regexAtoms = []string{"a", "b", ".", "x", "0", "\\d", "\\w", "\\s", "\\D", "\\W", "\\S", "[abc]", "[^a]", "[a-z]", "[[:alpha:]]", "[^[:digit:]x]", "\\bfoo", "\\B", "(a|b)", "(?:ab)", "(?P<n>a)", "(?<m>b)",
	"(?i)Q", "(?i:h)", "^", "$", "\\A", "\\z", "\\pL", "\\p{Greek}", "\\PN", "é", "[é-ü]", "\\.", "\\x41", "\\x{263a}", "\\Q.*\\E", "o", "foo", "()", "(?s:.)", "(?m)^", "(?U)a+", "\\t", "[-a]", "[]a]", "\\-", "\\/",
	"[\\d_]", "[\\w.-]", "{", "{,2}", "[\\pL]", "\\101", "(a)(b)?", "中", "[^\\n]", "/", ":", "-", "@"}

func regex() string {
	if chance(12) {
		return pick("(", ")", "[", "[z-a]", "a**", "*", "a{1001}", "a{2,1}", "\\", "(?P<n", "(?P<1-2>x)", "(?x)a", "(?=a)", "(?!a)", "\\1", "\\Z", "[[:foo:]]", "\\pX", "\\p{Foo}", "a{2}{3}", "(?i", "\\C", "(?i-)", "+", "a|*",
			"(a{100}){100}", "[a", "\\xZ", "\\x{110000}", "a++", "(?", "\\8", "\\q", "[a-\\d]", "x{0,1000}", "(?P=n)", "(?P<n>", "\\p", "\\p{", "\\xff", "(?-i)a", "a??", "a*?", "(|a)*", "(a*)*", "(a|ab)(c|bcd)", "(?i)ſ", "(?i)k",
			"^.+@.+\\..+$", "^([a-z0-9-]+)\\.([a-z]+)$", "[^a-zA-Z0-9]+", "^v?(\\d+)\\.(\\d+)", "\\s+", "(?i)^(yes|true)$")
	}
	var out strings.Builder
	for range 1 + random.Intn(4) {
		out.WriteString(regexAtoms[random.Intn(len(regexAtoms))])
		out.WriteString(pick("", "", "", "*", "+", "?", "{2}", "{1,}", "{0,2}", "*?", "+?", "|"))
	}
	return out.String()
}

func replacement() string {
	return pick("", "X", "$1", "${1}x", "$1x", "$$", "$", "${n}", "$n-", "$0", "[$0]", "${", "${1", "$9", "é$m", "$01", "$é")
}

func url() string {
	if chance(40) {
		return pick("https://user:p%40ss@example.com:8443/a/b?x=1&y=2#frag", "mailto:joe@example.com", "//host/path", "/just/path", "http://[::1]:80/", "http://[fe80::1%25en0]/", "http://a b", "%zz", "http://host:port/", "a:b",
			"http://example.com?", "http://x/%41%2F", "1a:b", ":x", "http://x\x7f", "example.com:80", "http://a:b@c@d/", "proto:opaque?q#f", "http://1.2.3.4:5:6", "pg://h1:1,h2:2/db", "*", "http://[1.2.3.4]/", "http://é/ü?ö#ä", "a/b:c", "./a:b", "http://u@/", "HTTP://X", "http:///p", "///p", "http:/p")
	}
	return pick("", "http", "https", "tcp", "x+y") + pick("", ":", "://", "//") + pick("", "u@", "u:p@", "%41:@", "a b@") + pick("", "host", "h.example.com", "127.0.0.1", "[::1]", "h%20x", "H_x") + pick("", ":80", ":", ":x") +
		pick("", "/", "/a/b", "/a%20b", "/%zz", "/ü", "//x", "a") + pick("", "?", "?q=1", "?a b", "?%zz", "??") + pick("", "#", "#f", "#f%20g", "#%zz")
}

func path() string {
	var out strings.Builder
	for range random.Intn(7) {
		out.WriteString(pick("/", "/", "a", "b.txt", "..", ".", "x.tar.gz", "é", "//", ".hidden", "a."))
	}
	return out.String()
}

func version() string {
	return pick("1.2.3", "v1.2.3", "1.2", "1", "1.2.3-rc.1", "v1.30.0+k3s1", "1.2.3-alpha+b", "", "x", "1.x", "01.2.3", "2.0.0", "1.2.4", "1.19.0-0", "99999999999999999999.0.0", "1.2.3.4")
}

func constraint() string {
	return pick("", ">=", "<", "^", "~", "!=", "=", ">", "<=", ">= ") + pick("1.2.3", "1.2", "1", "1.x", "*", "1.2.3-0", "2.0.0-0", "v1.2", "foo", "") + pick("", "", ", <2", " || 3.x", " <1.5.0-0", " - 2.0")
}

func document() string {
	return pick("a: 1\nb: [x, 2, true, null]\n", "", "null", "- 1\n- b\n", "text", "12", "a: {b: {c: d}}", "a: [", "{\"a\": 1.5e3, \"b\": [1, {\"c\": null}]}", "[1, \"x\", false]", "true", "{\"a\":", "\"s\"", "a: 1\na: 2\n", "x: 2001-01-01\ny: 0x1F\nz: 1e3\n",
		"{\"n\": 12345678901234567890, \"u\": \"\\u00e9<>&\"}", "a: &x {k: v}\nb: *x\n", "a: |\n  l1\n  l2\n", "!!str 5", "---\na: 1\n---\nb: 2\n", "{\"a\": 1} x", "{a: 1}", "\t", "a: b: c", "1e999", "# c\n", "yes", "a: ~", "[]", "{}")
}

// argument makes an argument of a kind.
func argument(kind byte) string {
	// What is no date would be the present.
	if kind != 'd' && chance(2) {
		return value()
	}
	switch kind {
	case 's':
		return quoted(text())
	case 'S':
		return quoted(pick("a", "b", ",", " ", "o", "", "foo", "\n", "é", "ab", ".", "/", "x", "-", "\xff", "abc"))
	case 'n':
		return small()
	case 'i':
		return integer()
	case 'N':
		return number()
	case 'l':
		return list()
	case 'm':
		return dict()
	case 'k':
		return quoted(pick("a", "b", "c", "l", "n", "z", "missing"))
	case 'b':
		return pick("true", "false", "$.yes", "$.no", "(empty 0)")
	case 'f':
		return pick("0.5", "0.4", "0.6", "1.0", "0.0")
	case 't':
		return quoted(layout())
	case 'd':
		return date()
	case 'D':
		return instant()
	case 'z':
		return quoted(zone())
	case 'u':
		return quoted(duration())
	case 'x':
		return quoted(regex())
	case 'r':
		return quoted(replacement())
	case 'U':
		return quoted(url())
	case 'p':
		return quoted(path())
	case 'V':
		return quoted(version())
	case 'C':
		return quoted(constraint())
	case 'Y':
		return quoted(document())
	case 'B':
		return quoted(pick("YWJj", "YQ==", "YWI=", "YWJj\nZGVm", "YQ=", "Y", "!!!!", "YW Jj", "MFRGG===", "ME======", "MFRGGZDFMZTWQ2LK", "MFRGG", "mfrgg===", "MF\n======", "=", "A===", "AA=A", "AAAA=", "YWJjZGVm=", "ME=====", "MFR=====", "YWJjZA", "////", "++++", "", "_-8="))
	case 'T':
		return quoted(pick("string", "int", "int64", "float64", "bool", "slice", "map", "invalid", "[]interface {}", "[]string", "map[string]interface {}", "semver.Version", "*semver.Version", "time.Time", "struct", "ptr", "<nil>", "map[string]string", "[]int", "time.Duration"))
	default:
		return value()
	}
}
