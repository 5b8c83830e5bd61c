// What a client of Kubernetes makes of the agent's pods: standard input holds a v1 PodList, as
// GET /pods answers; standard output gets {"list": the same after decoding into Go's types, "rows":
// the cells of `kubectl get pods -o wide`, as kubectl's own printer fills them}.

package main

import (
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	api "k8s.io/kubernetes/pkg/apis/core"
	corev1 "k8s.io/kubernetes/pkg/apis/core/v1"
	"k8s.io/kubernetes/pkg/printers"
	printersinternal "k8s.io/kubernetes/pkg/printers/internalversion"
)

type answer struct {
	List    *v1.PodList              `json:"list"`
	Columns []string                 `json:"columns"`
	Rows    []map[string]interface{} `json:"rows"`
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func rows(list *v1.PodList, reply *answer) error {
	internal := &api.PodList{}
	if err := corev1.Convert_v1_PodList_To_core_PodList(list, internal, nil); err != nil {
		return err
	}
	generator := printers.NewTableGenerator().With(printersinternal.AddHandlers)
	table, err := generator.GenerateTable(internal, printers.GenerateOptions{Wide: true})
	if err != nil {
		return err
	}
	for _, row := range table.Rows {
		cells := map[string]interface{}{}
		for i, column := range table.ColumnDefinitions {
			cells[column.Name] = row.Cells[i]
		}
		reply.Rows = append(reply.Rows, cells)
	}
	return nil
}

func main() {
	reply := answer{List: &v1.PodList{}}
	decoder := json.NewDecoder(os.Stdin)
	if err := decoder.Decode(reply.List); err != nil {
		fail(err)
	}
	if reply.List.TypeMeta != (metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}) {
		fail(fmt.Errorf("not a v1 PodList: %v", reply.List.TypeMeta))
	}
	if err := rows(reply.List, &reply); err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(reply); err != nil {
		fail(err)
	}
}
