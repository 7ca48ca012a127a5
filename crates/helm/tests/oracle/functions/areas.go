package main

import "strings"

// areas says how to make calls: the function, and a letter for each argument (see argument). A `*` repeats the letter
// before it. The number of calls is per function.
var areas = []struct {
	area      string
	count     int
	functions string
}{
	{"strings", 330, "abbrev:ns abbrevboth:nns trunc:ns trim:s upper:s lower:s title:s untitle:s substr:nns nospace:s initials:s swapcase:s snakecase:s camelcase:s kebabcase:s wrap:ns wrapWith:nSs"},
	{"strings", 170, "repeat:ns trimall:Ss trimAll:Ss trimSuffix:Ss trimPrefix:Ss contains:Ss hasPrefix:Ss hasSuffix:Ss indent:ns nindent:ns replace:SSs plural:ssn split:Ss splitList:Ss splitn:Sns"},
	{"quoting", 170, "quote:v* squote:v* cat:v* join:Sl join:Sv toString:v toStrings:v sortAlpha:l sortAlpha:v"},
	{"numbers", 220, "int:N int64:N float64:N atoi:s toDecimal:N add:N* add1:N sub:NN div:NN mod:NN mul:NN* max:NN* min:NN* biggest:NN*"},
	{"numbers", 170, "addf:N* add1f:N subf:NN* divf:NN* mulf:NN* maxf:NN* minf:NN* floor:N ceil:N round:Nn round:Nnf until:n untilStep:nnn seq:n seq:nn seq:nnn"},
	{"lists", 90, "list:v* tuple:v* append:lv push:lv prepend:lv first:l last:l rest:l initial:l reverse:l uniq:l compact:l without:lvv has:vl concat:ll concat:l* chunk:nl slice:ln slice:lnn slice:l"},
	{"lists", 40, "mustAppend:vv mustPush:vv mustPrepend:vv mustFirst:v mustLast:v mustRest:v mustInitial:v mustReverse:v mustUniq:v mustCompact:v mustWithout:vv mustHas:vv mustChunk:nv mustSlice:vnn"},
	{"dicts", 90, "dict:kvkv dict:v* get:mk hasKey:mk pluck:kmm keys:m* values:m pick:mkk omit:mkk set:mkv unset:mk dig:kvm dig:kkvm dig:v* deepCopy:v mustDeepCopy:v"},
	{"dicts", 150, "merge:mm mergeOverwrite:mm merge:mmm mergeOverwrite:mmm mustMerge:mm mustMergeOverwrite:mm"},
	{"defaults", 90, "default:vv empty:v coalesce:v* all:v* any:v* ternary:vvb typeOf:v typeIs:Tv typeIsLike:Tv kindOf:v kindIs:Tv deepEqual:vv deepEqual:ll"},
	{"paths", 80, "base:p dir:p clean:p ext:p isAbs:p osBase:p osClean:p osDir:p osExt:p osIsAbs:p"},
	{"encoding", 80, "b64enc:s b64dec:B b32enc:s b32dec:B sha1sum:s sha256sum:s sha512sum:s adler32sum:s hello: regexQuoteMeta:s"},
	{"regex", 330, "regexMatch:xs regexFind:xs regexFindAll:xsn regexReplaceAll:xsr regexReplaceAllLiteral:xsr regexSplit:xsn"},
	{"regex", 120, "mustRegexMatch:xs mustRegexFind:xs mustRegexFindAll:xsn mustRegexReplaceAll:xsr mustRegexReplaceAllLiteral:xsr mustRegexSplit:xsn"},
	{"dates", 330, "date:td dateInZone:tdz date_in_zone:tdz"},
	{"dates", 90, "htmlDate:d htmlDateInZone:dz dateModify:uD date_modify:uD mustDateModify:uD must_date_modify:uD unixEpoch:D"},
	{"durations", 70, "duration:u duration:N durationRound:u durationRound:N mustToDuration:u mustToDuration:N durationSeconds:u durationMilliseconds:u durationMicroseconds:u durationNanoseconds:u durationMinutes:u durationHours:u durationDays:u durationWeeks:u durationSeconds:N durationHours:v durationRoundTo:uu durationTruncateTo:uu durationRoundTo:Nu"},
	{"versions", 300, "semver:V semverCompare:CV"},
	{"urls", 500, "urlParse:U urlJoin:m"},
	{"documents", 60, "fromYaml:Y fromYamlArray:Y fromJson:Y fromJsonArray:Y mustFromJson:Y toYaml:v toYamlPretty:v mustToYaml:v toJson:v mustToJson:v toPrettyJson:v mustToPrettyJson:v toRawJson:v mustToRawJson:v"},
	{"toml", 60, "fromToml:Y toToml:m toToml:v mustToToml:m"},
}

func call(name, kinds string) string {
	out := name
	for i := 0; i < len(kinds); i++ {
		if kinds[i] == '*' {
			for range random.Intn(3) {
				out += " " + argument(kinds[i-1])
			}
			continue
		}
		out += " " + argument(kinds[i])
	}
	if chance(1) {
		out += " " + value()
	}
	return out
}

func cases() []testCase {
	var all []testCase
	for _, area := range areas {
		for _, function := range strings.Fields(area.functions) {
			name, kinds, _ := strings.Cut(function, ":")
			for range area.count {
				all = append(all, testCase{area.area, call(name, kinds)})
			}
		}
	}
	for range 900 {
		layout := layout()
		name := pick("toDate", "mustToDate", "mustToDate")
		all = append(all, testCase{"dates", name + " " + quoted(layout) + " " + quoted(dateText(layout))})
	}
	for range 250 {
		d := "dict"
		for _, key := range []string{"scheme", "host", "path", "query", "opaque", "fragment", "userinfo"} {
			if chance(50) {
				d += " " + quoted(key) + " " + quoted(pick("", "x", "http", "a b", "é", "h:80", "/p", "u:p", "*", "a:b", "%41", "q=1"))
			}
		}
		all = append(all, testCase{"urls", "urlJoin (" + d + ")"})
	}
	for _, made := range handmade {
		all = append(all, testCase{"handmade", made})
	}
	return all
}
