// Opens the kubelet's own decoding of a manifest file to the oracle. The build lays this file over
// pkg/kubelet/config of the Kubernetes tree, without writing to it.

package config

import (
	"fmt"

	"k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	api "k8s.io/kubernetes/pkg/apis/core"
	"k8s.io/kubernetes/pkg/apis/core/validation"
)

// DecodeManifest does what the file source does with the content of one file.
func DecodeManifest(data []byte, file string, node string) (*v1.Pod, error) {
	if len(data) >= maxConfigLength { // as utilio.ReadAtMost has it
		return nil, fmt.Errorf("%s is too long", file)
	}
	_, pod, err := tryDecodeSinglePod(data, func(pod *api.Pod) error {
		return applyDefaults(pod, file, true, types.NodeName(node))
	})
	return pod, err
}

// ValidationErrors says with their paths what DecodeManifest has in one sentence, where the manifest
// could be decoded and is wrong.
func ValidationErrors(data []byte, file string, node string) field.ErrorList {
	json, err := utilyaml.ToJSON(data)
	if err != nil {
		return nil
	}
	object, err := runtime.Decode(legacyscheme.Codecs.UniversalDecoder(), json)
	pod, ok := object.(*api.Pod)
	if err != nil || !ok || applyDefaults(pod, file, true, types.NodeName(node)) != nil {
		return nil
	}
	// The feature gate of its only option is open in 1.20.
	return validation.ValidatePodCreate(pod, validation.PodValidationOptions{AllowMultipleHugePageResources: true})
}
