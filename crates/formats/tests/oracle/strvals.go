package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"helm.sh/helm/v4/pkg/strvals"
)

var setWritten = []string{
	"", "a", "a=", "a=1", "a=b,c=d", "a=b,", "a=b,c", "a,b", ",", "=", "=a", "a.b=c", "a.b.c=1,a.b.d=2", "a.", "a.=b", ".a=b", "a..b=c", "a.b", "a.b,c=1", "a[0]=b", "a[0]", "a[", "a[0", "a[]=1", "a[x]=1", "a[-1]=b", "a[1]=b", "a[65536]=b", "a[65537]=b", "a[99999999999999999999]=b", "a[0]b=c", "a[0].b=c,a[1].b=d,a[0].c=e", "a[0].b=", "a[0][1]=x", "a[0][1].b=x", "a[0]=1,a[0].b=2", "a[0]=1,a[0][0]=2", "a=1,a.b=2", "a=1,a[0]=2", "a={x,y,z}", "a={}", "a={x", "a={x,y},b=1", "a={x}b=1", "a={1,true,null,}", "a[0]={x,y}", "a=true,b=false,c=null,d=TRUE,e=0,f=00,g=-1,h=+1,i=1.5,j=1e3,k=0x1,l=9223372036854775808", `a=b\,c,d=e`, `a\.b=c`, `a\=b=c`, `a=\`, `a=b\`, `a\[0\]=b`, `a={x\,y,z\}}`, "a=b=c", "a=b.c[0]", "é=ü", "x.y=1", "x.l[0]=5", "x.l[3]=5", "x.m.n=1", "x=1", "l[1].a=2", "l[0].a=2", "n.a=1", "n[0]=1", "s.a=1", "s[0]=1", "f.a=1", "f[0]=1", "b[0]=1", "l.a=1", "x[0]=1", "l[2]=1", "l[0][0]=1", "a= b , c = d", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d=1", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e=1", "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q.r.s.t.u.v.w.x.y.z.a.b.c.d.e.f=1",
	`a={"x":1}`, `a={"x":1},b=[1,2]`, `a=1,b="x",c=null,d=`, `a= {"x": [1, {"y": null}]} , b=2`, `a=x`, `a={"x"`, `a="x`, `a=tru`, `a=-`, `a=1e400`, `a=1x`, `a[0]={"x":1},a[1]=2`, `a[0]=,a[1]=`, `a.b={"c":1},a.d=2`, `a={"x":1}b=2`, `a=[1 2]`, `a=truefalse`,
}

const setBase = `{"x":{"y":0,"l":[1,2],"m":{}},"l":[{"a":1},7],"n":null,"s":"str","f":1.5,"b":true}`

// strvalsLines asks what the lines of --set, --set-string, --set-json, --set-file and --set-literal do to a map.
func strvalsLines(r *recorder) {
	s := newSource(5)
	for _, line := range setWritten {
		recordSet(r, line)
		for range 25 {
			recordSet(r, s.damage(line))
		}
	}
	for range 3000 {
		recordSet(r, s.soup("abxl0.=[],{}\\1\":- ", 1+s.Intn(16)))
	}
	for range 2000 {
		var parts []string
		for range 1 + s.Intn(3) {
			parts = append(parts, s.setKey()+"="+s.pick([]string{"1", "x", "true", "{a,b}", `"s"`, `{"a":[1]}`, "", "null", `a\,b`, "a b"}))
		}
		recordSet(r, strings.Join(parts, ","))
	}
}

func (s source) setKey() string {
	key := s.pick([]string{"x", "l", "n", "s", "a", "b", "x.l", "x.m"})
	for range s.Intn(3) {
		key += s.pick([]string{".a", ".b", "[0]", "[1]", "[2]", ".l", "[0].a"})
	}
	return key
}

func recordSet(r *recorder, line string) {
	read := func(name []rune) (any, error) {
		if strings.Contains(string(name), "x") {
			return nil, fmt.Errorf("cannot read %s", string(name))
		}
		return "<" + string(name) + ">", nil
	}
	for _, question := range []struct {
		kind  string
		parse func(map[string]any) error
	}{
		{"set", func(m map[string]any) error { return strvals.ParseInto(line, m) }},
		{"string", func(m map[string]any) error { return strvals.ParseIntoString(line, m) }},
		{"json", func(m map[string]any) error { return strvals.ParseJSON(line, m) }},
		{"literal", func(m map[string]any) error { return strvals.ParseLiteralInto(line, m) }},
		{"file", func(m map[string]any) error { return strvals.ParseIntoFile(line, m, read) }},
	} {
		base := map[string]any{}
		if err := json.Unmarshal([]byte(setBase), &base); err != nil {
			panic(err)
		}
		if err := question.parse(base); err != nil {
			r.record(question.kind, line, "error", err.Error())
		} else {
			r.record(question.kind, line, "ok", string(must(json.Marshal(base))))
		}
	}
}
