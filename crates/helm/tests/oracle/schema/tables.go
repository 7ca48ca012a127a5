// What is tried on what.
package main

var fragments = []string{
	`true`, `false`, `{}`,
	`{"type":"null"}`, `{"type":"boolean"}`, `{"type":"integer"}`, `{"type":"number"}`, `{"type":"string"}`, `{"type":"array"}`, `{"type":"object"}`,
	`{"type":["string","null"]}`, `{"type":["object","array","integer"]}`, `{"type":["number","integer"]}`, `{"type":[]}`, `{"type":"bogus"}`,
	`{"const":1}`, `{"const":null}`, `{"const":"x'y\"z"}`, `{"const":[1,2]}`, `{"const":{"a":1}}`, `{"const":1.5}`, `{"const":1000000}`, `{"const":true}`,
	`{"enum":["a"]}`, `{"enum":["a","b",1,null,true,1.5,1e10]}`, `{"enum":[[1],"x"]}`, `{"enum":[]}`, `{"enum":["a\nb\tc\\d"]}`,
	`{"minimum":2}`, `{"maximum":2}`, `{"exclusiveMinimum":2}`, `{"exclusiveMaximum":2}`, `{"minimum":2,"exclusiveMinimum":true}`, `{"maximum":2,"exclusiveMaximum":true}`,
	`{"minimum":1e300}`, `{"minimum":1234567.5}`, `{"maximum":-0.001}`, `{"multipleOf":2}`, `{"multipleOf":0.1}`, `{"multipleOf":1234}`, `{"multipleOf":0.01}`,
	`{"minLength":2}`, `{"maxLength":2}`, `{"minLength":1234}`, `{"pattern":"^a.c$"}`, `{"pattern":"'\\d+\""}`, `{"pattern":"["}`, `{"pattern":"^\\p{L}+$"}`,
	`{"minItems":2}`, `{"maxItems":1}`, `{"uniqueItems":true}`, `{"minItems":5,"maxItems":1,"uniqueItems":true}`,
	`{"minProperties":2}`, `{"maxProperties":1}`, `{"required":["a"]}`, `{"required":["a","b","z"]}`, `{"required":[]}`, `{"required":true}`,
	`{"minProperties":3,"required":["q"],"maxProperties":0}`,
	`{"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, `{"properties":{"a":false}}`, `{"properties":{"a":true}}`,
	`{"additionalProperties":false}`, `{"additionalProperties":false,"properties":{"a":{}}}`, `{"additionalProperties":{"type":"string"}}`, `{"additionalProperties":true}`,
	`{"additionalProperties":false,"patternProperties":{"^a":{"type":"string"}}}`, `{"patternProperties":{"^a":{"type":"string"},"b":{"minimum":9}}}`, `{"patternProperties":{"[":{}}}`,
	`{"propertyNames":{"maxLength":1}}`, `{"propertyNames":{"pattern":"^a"}}`, `{"propertyNames":false}`, `{"propertyNames":{"maxLength":0,"pattern":"^z"}}`,
	`{"dependencies":{"a":["x","y"]}}`, `{"dependencies":{"a":{"required":["x"]}}}`, `{"dependencies":{"a":["b"],"b":{"minProperties":9}}}`, `{"dependencies":{"a":[]}}`,
	`{"dependentRequired":{"a":["x"]}}`, `{"dependentRequired":{"a":["x","y'"],"b":["a"]}}`, `{"dependentSchemas":{"a":{"required":["x"]},"b":false}}`,
	`{"items":{"type":"string"}}`, `{"items":[{"type":"string"},{"type":"integer"}]}`, `{"items":[{"type":"string"}],"additionalItems":false}`, `{"items":[{}],"additionalItems":{"type":"null"}}`,
	`{"items":false}`, `{"items":true}`, `{"prefixItems":[{"type":"string"},false],"items":{"type":"null"}}`, `{"prefixItems":[{"type":"string"}],"items":false}`, `{"additionalItems":false}`,
	`{"contains":{"type":"string"}}`, `{"contains":{"type":"string"},"minContains":2}`, `{"contains":{"type":"integer"},"maxContains":1}`, `{"contains":{"type":"null"},"minContains":0}`, `{"contains":false}`, `{"minContains":2}`,
	`{"not":{"type":"string"}}`, `{"not":{}}`, `{"not":false}`, `{"not":{"not":{"type":"string"}}}`,
	`{"allOf":[{"type":"string"},{"minLength":2}]}`, `{"allOf":[{"minimum":5}]}`, `{"allOf":[{"minimum":5},{"multipleOf":7}]}`, `{"allOf":[true,false]}`, `{"allOf":[]}`,
	`{"anyOf":[{"type":"string"},{"type":"null"}]}`, `{"anyOf":[{"minimum":5,"multipleOf":7},{"type":"string"}]}`, `{"anyOf":[{"required":["x"]},{"required":["y"]}]}`, `{"anyOf":[false]}`,
	`{"oneOf":[{"type":"string"},{"type":"null"}]}`, `{"oneOf":[{"type":"integer"},{"minimum":0},{"maximum":100}]}`, `{"oneOf":[{"required":["a"]},{"required":["b"]}]}`,
	`{"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"null"}}`, `{"if":{"required":["a"]},"then":{"required":["x","y"],"maxProperties":0}}`, `{"if":false,"else":false}`, `{"if":true,"then":{"type":"null"}}`,
	`{"$ref":"#/$defs/s"}`, `{"$ref":"#/definitions/s"}`, `{"$ref":"#/definitions/deep","minProperties":9}`, `{"$ref":"#/$defs/deep","minProperties":9}`, `{"$ref":"#"}`, `{"$ref":"#/properties/v"}`,
	`{"unevaluatedProperties":false,"properties":{"a":{}}}`, `{"unevaluatedProperties":{"type":"string"},"allOf":[{"properties":{"a":true}}]}`, `{"unevaluatedItems":false,"prefixItems":[{}]}`, `{"unevaluatedProperties":false,"anyOf":[{"properties":{"a":{"type":"integer"}}},{"properties":{"b":{}}}]}`,
	`{"contentEncoding":"base64"}`, `{"contentMediaType":"application/json"}`, `{"contentEncoding":"base64","contentMediaType":"application/json","contentSchema":{"type":"object"}}`,
	`{"type":"object","required":["x"],"properties":{"a":{"type":"object","required":["y"]}},"additionalProperties":false}`,
	`{"type":"string","minLength":5,"pattern":"^z","enum":["zzzzz"]}`, `{"format":"bogus"}`, `{"format":"ipv4","minLength":50}`, `{"nullable":true,"type":"string"}`, `{"default":5,"description":"x","title":"y","examples":[1]}`,
	`{"minLength":-1}`, `{"minimum":"1"}`, `{"multipleOf":0}`, `{"properties":[]}`, `{"required":["a","a"]}`, `{"items":5}`, `{"pattern":5}`, `{"allOf":{}}`, `{"enum":5}`, `{"minLength":1.5}`, `{"minLength":2.0}`,
	`{"$ref":"#/nowhere"}`, `{"$ref":"other.json"}`, `{"$id":"x","type":"string"}`, `{"$comment":"x","type":"string"}`, `{"id":5}`,
}

var instances = []string{
	`null`, `true`, `false`, `0`, `1`, `-1`, `2`, `2.5`, `1.0`, `7`, `14`, `1234567`, `1e21`, `0.1`, `0.3`, `-0.5`, `1000000`, `123456789012345`,
	`""`, `"a"`, `"b"`, `"abc"`, `"x'y\"z"`, `"é"`, `"a\nb\tc\\d"`, `"zzzzzz"`, `"YWJj"`, `"{}"`,
	`[]`, `[1]`, `["a"]`, `[1,2]`, `["a",1]`, `["a","a"]`, `[1,1.0]`, `[null,"x",3,null]`, `[[1],[1]]`, `[{"a":1},{"a":1.0}]`,
	`{}`, `{"a":1}`, `{"a":"x"}`, `{"b":1}`, `{"a":1,"b":2}`, `{"a":{},"c/d~e":1}`, `{"ab":1,"ba":"x"}`, `{"it's":null}`, `{"a":{"a":{"a":1}}}`, `{"a":[1,{"b":2}]}`,
}

var formats = []string{
	"json-pointer", "relative-json-pointer", "uuid", "duration", "period", "ipv4", "ipv6", "hostname", "email", "date", "time", "date-time",
	"uri", "iri", "uri-reference", "iri-reference", "uri-template", "semver", "regex", "idn-email", "idn-hostname", "color",
}

var texts = []string{
	"", "a", "/", "/a~0b", "/a~2", "/a~", "0#", "01#", "1/a", "x", "2024-02-29", "2023-02-29", "2024-1-1", "12:00:00Z", "12:00:00", "12:00:00+01:00", "23:59:60Z", "24:00:00Z", "12:00:00.5z", "12:00:00.Z",
	"2024-02-29T12:00:00Z", "2024-02-29 12:00:00Z", "2024-02-29t12:00:00.123+25:00", "2024-02-30T12:00:00Z", "2024-02-29T12:00Z", "P1D", "P", "PT", "P1W", "PW", "P1Y2M3DT4H5M6S", "P1M1Y", "PT1D", "P1", "1D", "PT1HT1M",
	"2024-02-29T12:00:00Z/P1D", "P1D/2024-02-29T12:00:00Z", "P1D/x",
	"1.2.3.4", "256.1.1.1", "01.2.3.4", "1.2.3", "1.2.3.x", "::1", "1::2::3", "fe80::1%eth0", "::ffff:1.2.3.4", "12345::", "example.com", "example.com.", "-a.com", "a-.com", "a_b.com", "a..b", "é.com",
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com", "a@b.c", "@b", "a@", ".a@b", "a.@b", "a..b@c", "\"a b\"@c", "\"a\\\"@c", "a b@c", "a@[1.2.3.4]", "a@[IPv6:::1]", "a@[x]", "é@b.c",
	"http://a.b/c?d#e", "//a/b", "/a b", "a:b", ":", "http://[::1]:80/", "http://::1/", "http://a:x/", "%zz", "http://a/%zz", "\\", "http://a/{b}", "http://a/{b}/{c", "{a}", "{{a}}", "urn:x:y", "mailto:a@b",
	"1.2.3", "v1.2.3", "1.2", "1.2.3-rc.1+b", "01.2.3", "1.2.3-", "1.2.3+", "1.2.3-01", "1.2.x",
	"[a-z]+", "[", "(?=a)", "\\d", "a{2,1}", "123e4567-e89b-12d3-a456-426614174000", "123e4567-e89b-12d3-a456-42661417400", "123e4567-e89b-12d3-a456-42661417400g", "123e4567e89b12d3a456426614174000", "#fff",
}

var wholes = []string{
	`true`, `false`, `{}`, `{"type":"object","required":["a"]}`, `{"type":"array"}`, `{"additionalProperties":false}`,
	`{"properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"string"}}}`,
	`{"$id":"https://example.com/s.json","properties":{"a":{"$ref":"#/definitions/x"}},"definitions":{"x":{"type":"string"}}}`,
	`{"$id":"https://example.com/s.json","properties":{"a":{"$ref":"x.json"}},"$defs":{"x":{"$id":"x.json","type":"string"}}}`,
	`{"properties":{"a":{"$ref":"#x"}},"$defs":{"x":{"$anchor":"x","type":"string"}}}`,
	`{"$schema":"http://json-schema.org/draft-07/schema#","properties":{"a":{"$ref":"#x"}},"definitions":{"x":{"$id":"#x","type":"string"}}}`,
	`{"properties":{"a":{"$ref":"#/$defs/tree"}},"$defs":{"tree":{"type":"object","properties":{"a":{"$ref":"#/$defs/tree"}},"additionalProperties":false}}}`,
	`{"$dynamicAnchor":"node","properties":{"a":{"$dynamicRef":"#node"}},"additionalProperties":false}`,
	`{"$schema":"https://json-schema.org/draft/2019-09/schema","$recursiveAnchor":true,"properties":{"a":{"$recursiveRef":"#"}},"additionalProperties":false}`,
	`{"allOf":[{"properties":{"a":{"type":"string"}}},{"required":["z"]}],"unevaluatedProperties":false}`,
	`{"$schema":"http://json-schema.org/schema#","properties":{"a":{"type":"string"}}}`,
	`{"$schema":"http://json-schema.org/draft-07/schema","properties":{"a":{"type":"string"}}}`,
	`{"$ref":"#/$defs/x","$defs":{"x":{"required":["a","b"],"properties":{"a":{"type":"string"}}}}}`,
	`{"properties":{"a":{"$ref":"#/$defs/p%25q"},"b":{"$ref":"#/$defs/r~1s"}},"$defs":{"p%q":{"type":"string"},"r/s":{"type":"string"}}}`,
}

var objects = []string{`{}`, `{"a":1}`, `{"a":"x","b":1}`, `{"a":{"a":{"b":1}}}`, `{"a":{"a":{}}}`, `{"z":1,"a":[]}`}
