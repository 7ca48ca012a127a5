// Renders charts in this process with Helm's own code, as `helm template` does, and tells how long it took.
//
// Reads one JSON object a line, {"chart": folder, "values": [files], "repeat": times}, and answers each with one:
// {"load": [nanoseconds], "rest": [nanoseconds], "bytes": of output, "peak_kib": of memory so far, "error": text}.
// `load` reads the chart; `rest` are values, dependencies, schema, templates, order and printing.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"helm.sh/helm/v4/pkg/action"
	"helm.sh/helm/v4/pkg/chart"
	"helm.sh/helm/v4/pkg/chart/loader"
	"helm.sh/helm/v4/pkg/cli/values"
	release "helm.sh/helm/v4/pkg/release/v1"
)

type request struct {
	Chart  string   `json:"chart"`
	Values []string `json:"values"`
	Repeat int      `json:"repeat"`
}

type answer struct {
	Load    []int64 `json:"load"`
	Rest    []int64 `json:"rest"`
	Bytes   int     `json:"bytes"`
	PeakKiB int     `json:"peak_kib"`
	Error   string  `json:"error"`
}

func render(asked request) (load, rest time.Duration, text []byte, err error) {
	started := time.Now()
	loaded, err := loader.Load(asked.Chart)
	if err != nil {
		return 0, 0, nil, err
	}
	load = time.Since(started)
	started = time.Now()
	options := values.Options{ValueFiles: asked.Values}
	given, err := options.MergeValues(nil)
	if err != nil {
		return 0, 0, nil, err
	}
	accessor, err := chart.NewAccessor(loaded)
	if err != nil {
		return 0, 0, nil, err
	}
	if err := action.CheckDependencies(loaded, accessor.MetaDependencies()); err != nil {
		return 0, 0, nil, err
	}
	install := action.NewInstall(action.NewConfiguration())
	install.DryRunStrategy = action.DryRunClient
	install.ReleaseName = "release-name"
	install.Namespace = "default"
	install.Replace = true
	made, err := install.Run(loaded, given)
	if err != nil {
		return 0, 0, nil, err
	}
	text = printed(made.(*release.Release))
	return load, time.Since(started), text, nil
}

func printed(made *release.Release) []byte {
	var out bytes.Buffer
	fmt.Fprintln(&out, strings.TrimSpace(made.Manifest))
	for _, hook := range made.Hooks {
		fmt.Fprintf(&out, "---\n# Source: %s\n%s\n", hook.Path, hook.Manifest)
	}
	return out.Bytes()
}

func peakKiB() (peak int) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &peak); err == nil {
			return peak
		}
	}
	return 0
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var asked request
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		answer := answer{Load: []int64{}, Rest: []int64{}}
		for range asked.Repeat {
			load, rest, text, err := render(asked)
			if err != nil {
				answer.Error = err.Error()
				break
			}
			answer.Load, answer.Rest = append(answer.Load, load.Nanoseconds()), append(answer.Rest, rest.Nanoseconds())
			answer.Bytes = len(text)
		}
		answer.PeakKiB = peakKiB()
		if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
			panic(err)
		}
	}
}
