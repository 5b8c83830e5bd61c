// Opens the kubelet's own decoding of a manifest file to the oracle. The build lays this file over
// pkg/kubelet/config of the Kubernetes tree, without writing to it.

package config

import (
	"k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	api "k8s.io/kubernetes/pkg/apis/core"
)

// DecodeManifest does what the file source does with the content of one file.
func DecodeManifest(data []byte, file string, node string) (*v1.Pod, error) {
	_, pod, err := tryDecodeSinglePod(data, func(pod *api.Pod) error {
		return applyDefaults(pod, file, true, types.NodeName(node))
	})
	return pod, err
}
