package main

import (
	"bytes"
	"io"
	"os"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v3"
)

// at returns what stands at a path of names and numbers in a document.
func at(doc any, path ...any) any {
	for _, step := range path {
		switch s := step.(type) {
		case string:
			m, _ := doc.(map[string]any)
			doc = m[s]
		case int:
			l, _ := doc.([]any)
			if s >= len(l) {
				return nil
			}
			doc = l[s]
		}
	}
	return doc
}

// The manifest is YAML without a name that stands twice, and its pod has what
// the restricted profile of Pod Security Standards wants.
func TestManifest(t *testing.T) {
	b, err := os.ReadFile("../kubernetes/netserver.yaml")
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]any{}
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var doc map[string]any
		if err := d.Decode(&doc); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		kind, _ := doc["kind"].(string)
		if kind == "" || doc["apiVersion"] == nil || at(doc, "metadata", "name") != "netserver" {
			t.Errorf("%v has no kind, version or name", doc)
		}
		kinds[kind] = doc
	}
	if len(kinds) != 4 {
		t.Fatalf("%d kinds", len(kinds))
	}
	deployment, pod := kinds["Deployment"], []any{"spec", "template", "spec"}
	container := append(append([]any{}, pod...), "containers", 0)
	for _, tt := range []struct {
		below []any
		path  []any
		want  any
	}{
		{pod, []any{"securityContext", "runAsNonRoot"}, true},
		{pod, []any{"securityContext", "runAsUser"}, 65532},
		{pod, []any{"securityContext", "seccompProfile", "type"}, "RuntimeDefault"},
		{pod, []any{"automountServiceAccountToken"}, false},
		{pod, []any{"enableServiceLinks"}, false},
		{pod, []any{"terminationGracePeriodSeconds"}, 60},
		{pod, []any{"volumes", 0, "configMap", "name"}, "netserver"},
		{pod, []any{"hostNetwork"}, nil},
		{container, []any{"securityContext", "allowPrivilegeEscalation"}, false},
		{container, []any{"securityContext", "readOnlyRootFilesystem"}, true},
		{container, []any{"securityContext", "capabilities", "drop"}, []any{"ALL"}},
		{container, []any{"securityContext", "capabilities", "add"}, nil},
		{container, []any{"ports", 0, "name"}, at(kinds["Service"], "spec", "ports", 0, "targetPort")},
		{container, []any{"args", 1}, at(deployment, append(append([]any{}, container...), "volumeMounts", 0, "mountPath")...)},
	} {
		if have := at(deployment, append(append([]any{}, tt.below...), tt.path...)...); !reflect.DeepEqual(have, tt.want) {
			t.Errorf("%v is %v, want %v", tt.path, have, tt.want)
		}
	}
	labels := at(deployment, "spec", "template", "metadata", "labels")
	for kind, path := range map[string][]any{
		"Deployment": {"spec", "selector", "matchLabels"}, "Service": {"spec", "selector"}, "PodDisruptionBudget": {"spec", "selector", "matchLabels"},
	} {
		if have := at(kinds[kind], path...); labels == nil || !reflect.DeepEqual(have, labels) {
			t.Errorf("%s selects %v, and pods are %v", kind, have, labels)
		}
	}
}

// A version is what Debian, RPM and Go can order.
func TestVersions(t *testing.T) {
	t.Chdir("../..")
	t.Setenv("SOURCE_DATE_EPOCH", "1764398576")
	for version, want := range map[string]string{
		"1.2.3": "1.2.3-1", "v1.2.3": "1.2.3-1", "1.2.3-rc.1": "1.2.3~rc.1-1", "1.2.3-rc.1+x": "1.2.3~rc.1+x-1", "": "0.0.0~20251129064256.0123456789ab-1",
		"1.2": "", "1.2.3 ": "", "latest": "",
	} {
		s := source{Version: version, Commit: "0123456789abcdef"}
		err := s.find()
		p := &product{release: &release{source: s}}
		if (err == nil) != (want != "") || err == nil && p.debianVersion() != want {
			t.Errorf("%q: %s, %v; want %s", version, p.debianVersion(), err, want)
		}
	}
}
