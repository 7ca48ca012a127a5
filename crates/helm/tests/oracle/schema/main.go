// Records what Helm 4.3.1 says of values against schemas, for tests/schema.rs to compare.
//
// Each line is a JSON array: [schema, values, text]. The text is that of the error, empty if there is none. Complaints
// stand in the order of Go's maps, which is random: the test sorts them.
//
// Record anew: UPDATE=1 cargo test -p helm --test schema
package main

import (
	"bufio"
	"encoding/json"
	"math/rand"
	"os"

	"helm.sh/helm/v4/pkg/chart/common/util"
)

var drafts = []string{
	"http://json-schema.org/draft-04/schema#",
	"http://json-schema.org/draft-06/schema#",
	"http://json-schema.org/draft-07/schema#",
	"https://json-schema.org/draft/2019-09/schema",
	"https://json-schema.org/draft/2020-12/schema",
}

type object = map[string]any

func ask(lines *json.Encoder, schema string, values string) {
	var parsed object
	if err := json.Unmarshal([]byte(values), &parsed); err != nil {
		panic(values + ": " + err.Error())
	}
	text := ""
	if err := util.ValidateAgainstSingleSchema(parsed, []byte(schema)); err != nil {
		text = err.Error()
	}
	lines.Encode([]string{schema, values, text})
}

// with gives a schema its draft and definitions, and applies it to the value v.
func with(draft string, fragment any, definitions object) string {
	key := "$defs"
	if draft == drafts[0] || draft == drafts[1] || draft == drafts[2] {
		key = "definitions"
	}
	schema, err := json.Marshal(object{"$schema": draft, "properties": object{"v": fragment}, key: definitions})
	if err != nil {
		panic(err)
	}
	return string(schema)
}

func parse(text string) (value any) {
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		panic(text + ": " + err.Error())
	}
	return value
}

func definitions() object {
	return object{"s": object{"type": "string"}, "deep": object{"type": "object", "required": []string{"a"}, "properties": object{"b": object{"minimum": 5}}}}
}

// combined nests fragments in each other.
func combined(random *rand.Rand, depth int) any {
	fragment := func() any { return combined(random, depth-1) }
	if depth == 0 || random.Intn(4) == 0 {
		return parse(fragments[random.Intn(len(fragments))])
	}
	several := func() (list []any) {
		for range 1 + random.Intn(3) {
			list = append(list, fragment())
		}
		return list
	}
	switch random.Intn(11) {
	case 0:
		return object{"allOf": several()}
	case 1:
		return object{"anyOf": several()}
	case 2:
		return object{"oneOf": several()}
	case 3:
		return object{"not": fragment()}
	case 4:
		return object{"if": fragment(), "then": fragment(), "else": fragment()}
	case 5:
		return object{"properties": object{"a": fragment(), "b": fragment()}, "required": []string{"a", "c"}}
	case 6:
		return object{"items": fragment()}
	case 7:
		return object{"additionalProperties": fragment(), "properties": object{"a": fragment()}}
	case 8:
		return object{"patternProperties": object{"^a": fragment(), "b$": fragment()}}
	case 9:
		return object{"type": "object", "allOf": several(), "minProperties": 2}
	default:
		merged := object{}
		for range 2 {
			if part, ok := parse(fragments[random.Intn(len(fragments))]).(object); ok {
				for key, value := range part {
					merged[key] = value
				}
			}
		}
		return merged
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for d, draft := range drafts {
		for f, fragment := range fragments {
			for i, instance := range instances {
				// A third of the instances with each draft, another third with the next one.
				if (d+f+i)%3 != 0 {
					continue
				}
				ask(lines, with(draft, parse(fragment), definitions()), `{"v":`+instance+`}`)
			}
		}
		for f, format := range formats {
			for t, text := range texts {
				if d > 0 && (d+f+t)%7 != 0 {
					continue
				}
				value, _ := json.Marshal(text)
				ask(lines, with(draft, object{"format": format}, definitions()), `{"v":`+string(value)+`}`)
			}
		}
	}
	for _, whole := range wholes {
		for _, values := range objects {
			ask(lines, whole, values)
		}
	}
	random := rand.New(rand.NewSource(1))
	for range 3000 {
		schema := with(drafts[random.Intn(len(drafts))], combined(random, 3), definitions())
		for range 4 {
			ask(lines, schema, `{"v":`+instances[random.Intn(len(instances))]+`}`)
		}
	}
}
