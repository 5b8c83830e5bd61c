// What the real kubelet says: one JSON request a line on standard input, one answer a line on
// standard output. The requests and answers are those of pod-dump.c beside this directory.

package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"

	"k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/apis/core/v1/helper/qos"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/kubelet/cm"
	"k8s.io/kubernetes/pkg/kubelet/config"
	qospolicy "k8s.io/kubernetes/pkg/kubelet/qos"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

const (
	file           = "/manifests/case.yaml"
	node           = "node-1"
	memoryCapacity = 8 << 30
	cpuPeriod      = 100000
)

type request struct {
	Mode string            `json:"mode"` // "pod", "bytes", "quantity", "compare", "cpu", "expand" or "table"
	Text string            `json:"text"`
	Vars map[string]string `json:"vars"`
}

type numbers struct {
	QOS    v1.PodQOSClass   `json:"qos"`
	OOM    map[string]int64 `json:"oom"`
	Shares *uint64          `json:"shares"`
	Quota  *int64           `json:"quota"`
	Memory *int64           `json:"memory"`
}

type answer struct {
	OK       bool                           `json:"ok"`
	Error    string                         `json:"error,omitempty"`
	Paths    []string                       `json:"paths,omitempty"`
	Messages []string                       `json:"messages,omitempty"`
	Pod      *v1.Pod                        `json:"pod,omitempty"`
	Numbers  *numbers                       `json:"numbers,omitempty"`
	Text     string                         `json:"text,omitempty"`
	Value    int64                          `json:"value,omitempty"`
	Milli    int64                          `json:"milli,omitempty"`
	Shares   uint64                         `json:"shares,omitempty"`
	Quota    int64                          `json:"quota,omitempty"`
	Compare  int                            `json:"compare"`
	Types    map[string]map[string]fieldRow `json:"types,omitempty"`
}

type fieldRow struct {
	Kind string `json:"kind"`
	Type string `json:"type,omitempty"`
}

// Kubernetes 1.20 counts every static pod, and those of some priority, as critical; later releases
// and this program only system-node-critical ones. The rule for all others is what is asked for.
func withLaterPriority(pod *v1.Pod) *v1.Pod {
	copied := pod.DeepCopy()
	copied.Annotations = nil
	copied.Spec.Priority = nil
	if copied.Spec.PriorityClassName == "system-node-critical" {
		critical := int32(2000001000)
		copied.Spec.Priority = &critical
	}
	return copied
}

func numbersOf(pod *v1.Pod) *numbers {
	result := &numbers{QOS: qos.GetPodQOS(pod), OOM: map[string]int64{}}
	later := withLaterPriority(pod)
	for i := range later.Spec.Containers {
		container := &later.Spec.Containers[i]
		result.OOM[container.Name] = int64(qospolicy.GetContainerOOMScoreAdjust(later, container, memoryCapacity))
	}
	resources := cm.ResourceConfigForPod(pod, true, cpuPeriod)
	result.Shares, result.Quota, result.Memory = resources.CpuShares, resources.CpuQuota, resources.Memory
	return result
}

func answerPod(data []byte) (reply answer) {
	// A few manifests bring the kubelet down (generateName: "-"). That is no acceptance.
	defer func() {
		if trouble := recover(); trouble != nil {
			reply = answer{Error: fmt.Sprint("panic: ", trouble)}
		}
	}()
	pod, err := config.DecodeManifest(data, file, node)
	if err == nil {
		return answer{OK: true, Pod: pod, Numbers: numbersOf(pod)}
	}
	reply.Error = err.Error()
	for _, wrong := range config.ValidationErrors(data, file, node) {
		reply.Paths = append(reply.Paths, wrong.Field)
		reply.Messages = append(reply.Messages, wrong.Error())
	}
	return reply
}

func parseQuantity(text string) (q resource.Quantity, err error) {
	quoted, _ := json.Marshal(text)
	err = q.UnmarshalJSON(quoted)
	return
}

func answerQuantity(text string) answer {
	q, err := parseQuantity(text)
	if err != nil {
		return answer{Error: err.Error()}
	}
	// Twice the sign: the text as it was written is forgotten, so the canonical one is printed.
	q.Neg()
	q.Neg()
	return answer{OK: true, Text: q.String(), Value: q.Value(), Milli: q.MilliValue()}
}

// Two quantities, with a blank between them.
func answerCompare(text string) answer {
	parts := strings.Fields(text)
	a, err := parseQuantity(parts[0])
	if err != nil {
		return answer{Error: err.Error()}
	}
	b, err := parseQuantity(parts[1])
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OK: true, Compare: a.Cmp(b)}
}

func answerCPU(text string) answer {
	var milli int64
	fmt.Sscan(text, &milli)
	return answer{OK: true, Shares: cm.MilliCPUToShares(milli), Quota: cm.MilliCPUToQuota(milli, cpuPeriod)}
}

func kindOf(t reflect.Type) fieldRow {
	for t.Kind() == reflect.Ptr {
		t = t.Elem()
	}
	switch t.Name() {
	case "Quantity":
		return fieldRow{Kind: "quantity"}
	case "IntOrString":
		return fieldRow{Kind: "port"}
	case "Time":
		return fieldRow{Kind: "string"}
	case "ResourceList":
		return fieldRow{Kind: "resources"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return fieldRow{Kind: "bool"}
	case reflect.Int32, reflect.Int64:
		return fieldRow{Kind: "int"}
	case reflect.String:
		return fieldRow{Kind: "string"}
	case reflect.Map:
		return fieldRow{Kind: "map"}
	case reflect.Struct:
		return fieldRow{Kind: "struct", Type: t.Name()}
	case reflect.Slice:
		item := kindOf(t.Elem())
		return fieldRow{Kind: item.Kind + "s", Type: item.Type}
	}
	return fieldRow{Kind: t.String()}
}

func addFields(types map[string]map[string]fieldRow, rows map[string]fieldRow, t reflect.Type) {
	for i := 0; i < t.NumField(); i++ {
		f := t.Field(i)
		name := strings.Split(f.Tag.Get("json"), ",")[0]
		if name == "" {
			embedded := f.Type
			if embedded.Kind() == reflect.Ptr {
				embedded = embedded.Elem()
			}
			addFields(types, rows, embedded)
			continue
		}
		if name == "status" || name == "managedFields" {
			continue
		}
		rows[name] = kindOf(f.Type)
		inner := f.Type
		for inner.Kind() == reflect.Ptr || inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if rows[name].Type != "" && types[inner.Name()] == nil {
			types[inner.Name()] = map[string]fieldRow{}
			addFields(types, types[inner.Name()], inner)
		}
	}
}

// Every field of a pod, as the Go types have it.
func answerTable() answer {
	types := map[string]map[string]fieldRow{"Pod": {}}
	addFields(types, types["Pod"], reflect.TypeOf(v1.Pod{}))
	return answer{OK: true, Types: types}
}

func respond(r request) answer {
	switch r.Mode {
	case "pod":
		return answerPod([]byte(r.Text))
	case "bytes":
		data, _ := base64.StdEncoding.DecodeString(r.Text)
		return answerPod(data)
	case "quantity":
		return answerQuantity(r.Text)
	case "compare":
		return answerCompare(r.Text)
	case "cpu":
		return answerCPU(r.Text)
	case "expand":
		return answer{OK: true, Text: expansion.Expand(r.Text, expansion.MappingFuncFor(r.Vars))}
	case "table":
		return answerTable()
	}
	return answer{Error: "unknown mode " + r.Mode}
}

func main() {
	flags := flag.NewFlagSet("klog", flag.ExitOnError)
	klog.InitFlags(flags)
	flags.Set("logtostderr", "false")
	flags.Set("stderrthreshold", "FATAL")
	// The kubelet runs privileged containers, whatever the API server allows.
	capabilities.Initialize(capabilities.Capabilities{AllowPrivileged: true})

	in := bufio.NewReader(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(line, &r); err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(2)
		}
		reply, err := json.Marshal(respond(r))
		if err != nil {
			os.Stderr.WriteString(err.Error() + "\n")
			os.Exit(2)
		}
		out.Write(append(reply, '\n'))
	}
}
