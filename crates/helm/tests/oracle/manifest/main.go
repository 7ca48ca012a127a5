// Prints what Helm makes of 4,000 pseudo-random sets of rendered files, one JSON object a line:
//
//	{"files": {path: text}, "install": {hooks, manifests, error}, "uninstall": the same in the other order}
//
// Record anew: go run . | gzip -9n > ../../vectors/manifest.jsonl.gz
package main

import (
	"bufio"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand"
	"os"
	"strconv"
	"strings"

	"helm.sh/helm/v4/pkg/release/v1/util"
)

var random = rand.New(rand.NewSource(20261121))

func pick(choices ...string) string { return choices[random.Intn(len(choices))] }

func chance(percent int) bool { return random.Intn(100) < percent }

func separator() string {
	return pick("---\n", "---\n", "---\n", "\n---\n", "--- \n", "---\t\n\n", "---\r\n", "--- # note\n", "----\n", "-----\n",
		"--- ", "---", " ---\n", "\n\n---\n---\n", "--\n", "...\n", "\n")
}

func scalar() string {
	return pick("a", "b", "c", "1", "1.0", "1.5", "0x10", "1e3", "true", "no", "null", "~", "\"q\"", "''", "2001-01-01", "1_000",
		"[x]", "{y: z}", "é", "\"\\u00e9\"", "0.00001", "123456.75", "-0", "|\n    x", ">-\n    x\n    y", "!!str 3", "*nope", "&anchor v")
}

func kind() string {
	return pick("PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange", "PodSecurityPolicy",
		"PodDisruptionBudget", "ServiceAccount", "Secret", "SecretList", "ConfigMap", "StorageClass", "PersistentVolume",
		"PersistentVolumeClaim", "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
		"ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service", "DaemonSet", "Pod",
		"ReplicationController", "ReplicaSet", "Deployment", "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob",
		"IngressClass", "Ingress", "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
		"Certificate", "Zebra", "alpha", "Widget", "configmap")
}

func annotations() string {
	out := ""
	for range random.Intn(4) {
		out += "    " + pick(
			"helm.sh/hook: "+events(), "helm.sh/hook: "+events(), "helm.sh/hook: "+events(),
			"helm.sh/hook-weight: "+pick("5", "\"5\"", "-3", "\"-3\"", "+2", "1.0", "1.5", "x", "\"\"", "99999999999"),
			"helm.sh/hook-delete-policy: "+pick("hook-succeeded", "Hook-Failed, before-hook-creation", "never", "\",\""),
			"helm.sh/hook-output-log-policy: "+pick("hook-succeeded", "hook-failed,hook-succeeded"),
			"helm.sh/resource-policy: keep", "note: "+pick("x", "1", "true", "1.25", "null")) + "\n"
	}
	return out
}

func events() string {
	event := func() string {
		return pick("pre-install", "post-install", "pre-upgrade", "post-upgrade", "pre-delete", "post-delete", "pre-rollback",
			"post-rollback", "test", "test-success", "PRE-INSTALL", " test ", "crd-install", "test-failure", "")
	}
	out := event()
	for chance(30) {
		out += "," + event()
	}
	return strconv.Quote(out)
}

func document(name string) string {
	switch random.Intn(14) {
	case 0:
		return pick("", "\n", "  \n", "# only a comment\n", "#\n---\n", "\u00a0\n")
	case 1:
		if chance(40) {
			return pick("foo\n", "[a]\n", "3\n", "a: b: c\n", "a: {\n", "\ta: 1\n", "a: .inf\n", "a: \"\n", "- a\nb: 1\n", "a: *x\n", "? [a]\n: b\n")
		}
	case 2:
		if chance(50) {
			return pick("kind", "apiVersion", "KIND", "metadata", "metadata:\n  name", "metadata:\n  annotations:\n    x") + ": " + scalar() + "\n"
		}
	}
	out := pick("", "", "# first\n", "\n", "  ") + "apiVersion: v1\nkind: " + kind() + "\nmetadata:\n  name: " + name + "\n"
	out = strings.TrimPrefix(out, "  ")
	if chance(45) {
		if lines := annotations(); lines != "" {
			out += "  annotations:\n" + lines
		}
	}
	if chance(20) {
		out += "data:\n  text: |\n    one\n    " + pick("---", "--- two", "") + "\n    two\n"
	}
	return out + pick("", "", "\n", "\n\n", "  \n")
}

func files() map[string]string {
	out := map[string]string{}
	number := 0
	for range 1 + random.Intn(4) {
		path := pick("c/templates/", "c/charts/s/templates/", "c/charts/_s/templates/") + pick("a.yaml", "b.yaml", "c.yaml", "_helpers.tpl", "sub/_x.yaml", "z.yaml", "A.yaml")
		text := pick("", "", "---\n", "\n", " ---\n")
		for range random.Intn(4) {
			number++
			text += document("n" + strconv.Itoa(number))
			if !strings.HasSuffix(text, "\n") {
				text += "\n"
			}
			text += separator()
		}
		out[path] = text
	}
	return out
}

func sorted(files map[string]string, order util.KindSortOrder) map[string]any {
	hooks, manifests, err := util.SortManifests(files, nil, order)
	if err != nil {
		return map[string]any{"error": err.Error()}
	}
	rows := [][]string{}
	for _, m := range manifests {
		name := ""
		if m.Head.Metadata != nil {
			name = m.Head.Metadata.Name
		}
		rows = append(rows, []string{m.Name, m.Head.Version, m.Head.Kind, name, m.Content})
	}
	return map[string]any{"hooks": hooks, "manifests": rows}
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(io.Discard, nil)))
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for range 4000 {
		files := files()
		line := map[string]any{"files": files, "install": sorted(files, util.InstallOrder), "uninstall": sorted(files, util.UninstallOrder)}
		if err := encoder.Encode(line); err != nil {
			panic(err)
		}
	}
}
