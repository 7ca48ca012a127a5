// Prints what Masterminds/semver makes of 20,000 pseudo-random versions and constraints, one JSON array a line:
//
//	["strict"|"loose", text, canonical form or error]
//	["compare", a, b, "-1"|"0"|"1"]
//	["check", constraint, version, "true"|"false"|error]
//
// Record anew: go run . | gzip -9n > ../../vectors/semver.jsonl.gz
package main

import (
	"bufio"
	"encoding/json"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"
)

var random = rand.New(rand.NewSource(20261121))

func pick(choices ...string) string { return choices[random.Intn(len(choices))] }

func chance(percent int) bool { return random.Intn(100) < percent }

func number() string {
	if chance(4) {
		return pick("00", "01", "x1", "", "18446744073709551615", "18446744073709551616", "é", "-1", "1x", "2|3")
	}
	return strconv.Itoa(random.Intn(4))
}

func suffix() string {
	out := ""
	if chance(25) {
		out += "-" + pick("alpha", "beta.1", "rc.2", "rc.10", "0", "1", "01", "a-b", "", "a..b", "99999999999999999999", "alpha.beta", "-", "a_b", "1a")
	}
	if chance(15) {
		out += "+" + pick("meta", "1", "01", "a.b", "", "a..b", "build-7", "a+b", "a_b")
	}
	return out
}

func version() string {
	out := number() + "." + number() + "." + number() + suffix()
	switch random.Intn(12) {
	case 0:
		out = "v" + out
	case 1:
		out = number() + suffix()
	case 2:
		out = number() + "." + number() + suffix()
	case 3:
		out = pick("", " ", "v", "V1.2.3", "1.2.3.4", "1.2.3 ", "latest", "1.-", ".1", "1.2.", "vv1", "\t1", strings.Repeat("1", 257)) + pick("", out)
	}
	return out
}

func partial() string {
	wild := func() string {
		if chance(15) {
			return pick("x", "X", "*", "xx", "x*")
		}
		return number()
	}
	out := pick("", "", "", "", "v") + wild()
	if chance(75) {
		out += "." + wild()
		if chance(70) {
			out += "." + wild()
		}
	}
	if chance(35) {
		out += suffix()
	}
	return out
}

func comparator() string {
	return pick("", "", "=", "!=", ">", "<", ">=", "=>", "<=", "=<", "~", "~>", "^", "^", "~", pick("==", "!", "><", "~=", ">>")) +
		pick("", "", " ", "  ", "\t") + partial()
}

func constraint() string {
	groups := make([]string, 1+random.Intn(5)/3)
	for i := range groups {
		if chance(12) {
			groups[i] = pick("", " ", ">") + partial() + pick(" - ", " - ", "  -\t", "- ", " -") + partial() + pick("", " ", ", <3")
			continue
		}
		parts := make([]string, 1+random.Intn(6)/3)
		for j := range parts {
			parts[j] = comparator()
		}
		groups[i] = strings.Join(parts, pick(" ", ",", ", ", " , ", "  ", ",,", "\n", ""))
	}
	out := strings.Join(groups, pick("||", " || ", "|| ", "|"))
	if chance(3) {
		out = pick("", " ", "||", "latest", ">=", "1.2.3 ||", strings.Repeat("1||", 33)+"1", strings.Repeat("1 ", 300), out+" ", " "+out, out+",", "\x01\"\\\x7f\v")
	}
	return out
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	record := func(columns ...string) {
		if err := encoder.Encode(columns); err != nil {
			panic(err)
		}
	}
	for range 2000 {
		text := version()
		strict, err := semver.StrictNewVersion(text)
		record("strict", text, shown(strict, err))
		loose, err := semver.NewVersion(text)
		record("loose", text, shown(loose, err))
	}
	for recorded := 0; recorded < 3000; {
		a, aErr := semver.NewVersion(version())
		b, bErr := semver.NewVersion(version())
		if aErr == nil && bErr == nil {
			record("compare", a.Original(), b.Original(), strconv.Itoa(a.Compare(b)))
			recorded++
		}
	}
	for recorded := 0; recorded < 13000; {
		text := constraint()
		parsed, err := semver.NewConstraint(text)
		if err != nil && chance(60) {
			continue
		}
		candidate, candidateErr := semver.NewVersion(version())
		if candidateErr != nil {
			continue
		}
		answer := ""
		if err != nil {
			answer = err.Error()
		} else {
			answer = strconv.FormatBool(parsed.Check(candidate))
		}
		record("check", text, candidate.Original(), answer)
		recorded++
	}
}

func shown(version *semver.Version, err error) string {
	if err != nil {
		return err.Error()
	}
	return version.String()
}
