// Command strict checks Kubernetes manifests that it reads from its standard input. It decodes each with the Go type of its kind
// and refuses unknown fields, fields that occur twice, and kinds that it does not know. It prints each object's kind and name.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

func main() {
	if err := check(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// object is what all kinds have in common.
type object interface {
	GetName() string
	GetNamespace() string
}

// kinds returns an empty object of each known kind.
func kinds() map[string]object {
	return map[string]object{
		"apps/v1 StatefulSet":                     &apps.StatefulSet{},
		"v1 Service":                              &core.Service{},
		"v1 ServiceAccount":                       &core.ServiceAccount{},
		"v1 Pod":                                  &core.Pod{},
		"policy/v1 PodDisruptionBudget":           &policy.PodDisruptionBudget{},
		"networking.k8s.io/v1 NetworkPolicy":      &networking.NetworkPolicy{},
		"monitoring.coreos.com/v1 ServiceMonitor": &monitoring.ServiceMonitor{},
		"monitoring.coreos.com/v1 PrometheusRule": &monitoring.PrometheusRule{},
		"cert-manager.io/v1 Certificate":          &certmanager.Certificate{},
		"cert-manager.io/v1 Issuer":               &certmanager.Issuer{},
	}
}

func check(in io.Reader, out io.Writer) error {
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	var problems []error
	for {
		text, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return errors.Join(problems...)
		}
		if err != nil {
			return fmt.Errorf("read the manifests: %w", err)
		}
		line, err := decode(text)
		if err != nil {
			problems = append(problems, err)
		}
		if line != "" {
			fmt.Fprintln(out, line)
		}
	}
}

// decode decodes one manifest. A document without content has no line.
func decode(text []byte) (line string, err error) {
	var head meta.TypeMeta
	if err := strict.Unmarshal(text, &head); err != nil {
		return "", fmt.Errorf("not a manifest: %w\n%s", err, text)
	}
	if head.Kind == "" {
		return "", nil
	}
	kind := head.APIVersion + " " + head.Kind
	into, known := kinds()[kind]
	if !known {
		return "", fmt.Errorf("%s is not a kind that the chart makes: add it to kinds", kind)
	}
	if err := strict.UnmarshalStrict(text, into); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", kind, err, text)
	}
	if into.GetName() == "" || into.GetNamespace() == "" {
		return "", fmt.Errorf("%s has no name or namespace:\n%s", kind, text)
	}
	return kind + " " + into.GetName(), nil
}
