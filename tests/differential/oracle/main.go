// What the real kubelet says: one JSON request a line on standard input, one answer a line on
// standard output. The requests and answers are those of pod-dump.c beside this directory.

package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/klog/v2"
	"k8s.io/kubernetes/pkg/capabilities"
	"k8s.io/kubernetes/pkg/kubelet/config"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

type request struct {
	Mode string            `json:"mode"` // "pod", "quantity" or "expand"
	Text string            `json:"text"`
	Vars map[string]string `json:"vars"`
}

type answer struct {
	OK    bool        `json:"ok"`
	Error string      `json:"error,omitempty"`
	Pod   interface{} `json:"pod,omitempty"`
	Text  string      `json:"text,omitempty"`
	Value int64       `json:"value,omitempty"`
	Milli int64       `json:"milli,omitempty"`
}

func answerPod(text string) (reply answer) {
	// A few manifests bring the kubelet down (generateName: "-"). That is no acceptance.
	defer func() {
		if trouble := recover(); trouble != nil {
			reply = answer{Error: fmt.Sprint("panic: ", trouble)}
		}
	}()
	pod, err := config.DecodeManifest([]byte(text), "/manifests/case.yaml", "node-1")
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{OK: true, Pod: pod}
}

func answerQuantity(text string) answer {
	var q resource.Quantity
	quoted, _ := json.Marshal(text)
	if err := q.UnmarshalJSON(quoted); err != nil {
		return answer{Error: err.Error()}
	}
	// Twice the sign: the text as it was written is forgotten, so the canonical one is printed.
	q.Neg()
	q.Neg()
	return answer{OK: true, Text: q.String(), Value: q.Value(), Milli: q.MilliValue()}
}

func respond(r request) answer {
	switch r.Mode {
	case "pod":
		return answerPod(r.Text)
	case "quantity":
		return answerQuantity(r.Text)
	case "expand":
		return answer{OK: true, Text: expansion.Expand(r.Text, expansion.MappingFuncFor(r.Vars))}
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
