package chart

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The chart, relative to this package.
const (
	root     = "../../.."
	chartDir = root + "/deploy/helm/rollcall"
)

// object is a Kubernetes manifest, as far as these tests read it.
type object struct {
	Kind     string
	Metadata struct{ Name, Namespace string }
	Spec     struct {
		Replicas            int
		PodManagementPolicy string `yaml:"podManagementPolicy"`
		ServiceName         string `yaml:"serviceName"`
		ClusterIP           string `yaml:"clusterIP"`
		PublishNotReady     bool   `yaml:"publishNotReadyAddresses"`
		Selector            map[string]any
		DNSNames            []string `yaml:"dnsNames"`
		Template            struct{ Spec pod }
		Claims              []struct {
			Metadata struct{ Name string }
		} `yaml:"volumeClaimTemplates"`
	}
}

// pod is the specification of the pods.
type pod struct {
	Grace           int   `yaml:"terminationGracePeriodSeconds"`
	ServiceLinks    *bool `yaml:"enableServiceLinks"`
	Token           *bool `yaml:"automountServiceAccountToken"`
	SecurityContext struct {
		RunAsNonRoot bool `yaml:"runAsNonRoot"`
		RunAsUser    int  `yaml:"runAsUser"`
		FSGroup      int  `yaml:"fsGroup"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []volume
}

type container struct {
	Image           string
	Args            []string
	Env             []variable
	Resources       struct{ Limits map[string]string }
	SecurityContext struct {
		Escalation   *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnly     bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities struct{ Drop []string }
	} `yaml:"securityContext"`
	Mounts []mount `yaml:"volumeMounts"`
}

type mount struct {
	Name     string
	Path     string `yaml:"mountPath"`
	SubPath  string `yaml:"subPath"`
	ReadOnly bool   `yaml:"readOnly"`
}

type variable struct {
	Name, Value string
	From        struct {
		Field struct {
			Path string `yaml:"fieldPath"`
		} `yaml:"fieldRef"`
		Secret *struct{ Name, Key string } `yaml:"secretKeyRef"`
	} `yaml:"valueFrom"`
}

type volume struct {
	Name     string
	EmptyDir *struct{} `yaml:"emptyDir"`
	Secret   struct {
		Name string `yaml:"secretName"`
	}
	Projected *projection
}

// projection is a volume with the entries of several Secrets.
type projection struct {
	Mode    int `yaml:"defaultMode"`
	Sources []struct {
		Secret struct {
			Name     string
			Optional bool
			Items    []struct{ Key, Path string }
		}
	}
}

// files returns the volume's files by their names, as a kubelet makes them.
func (p projection) files(from secrets) (map[string]string, error) {
	all := map[string]string{}
	for _, source := range p.Sources {
		for _, item := range source.Secret.Items {
			entry, ok := from[source.Secret.Name][item.Key]
			switch {
			case ok:
				all[item.Path] = entry
			case !source.Secret.Optional:
				return nil, fmt.Errorf("%s: there is no entry %s in the Secret %s", item.Path, item.Key, source.Secret.Name)
			}
		}
	}
	return all, nil
}

// secretFiles returns the volume of the files with secrets.
func (p pod) secretFiles() (projection, error) {
	for _, v := range p.Volumes {
		if v.Projected != nil {
			return *v.Projected, nil
		}
	}
	return projection{}, errors.New("the pods have no volume of secrets")
}

// secrets holds the entries of the cluster's Secrets, by the Secret's name.
type secrets map[string]map[string]string

// parse reads the manifests of a rendered chart.
func parse(text []byte) ([]object, error) {
	var all []object
	for decoder := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		err := decoder.Decode(&o)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the manifests: %w", err)
		}
		if o.Kind != "" {
			all = append(all, o)
		}
	}
}

// find returns the object of that kind whose name ends with suffix.
func find(all []object, kind, suffix string) (object, error) {
	for _, o := range all {
		if o.Kind == kind && strings.HasSuffix(o.Metadata.Name, suffix) {
			return o, nil
		}
	}
	return object{}, fmt.Errorf("the chart makes no %s …%s", kind, suffix)
}

// command returns the environment and the arguments of a pod, as a kubelet gives them to the container. No variable may come from a
// Secret: a running process cannot take a new one.
func (c container) command(podName string) (env, args []string, err error) {
	values := map[string]string{}
	for _, v := range c.Env {
		if v.From.Secret != nil {
			return nil, nil, fmt.Errorf("%s comes from the Secret %s: mount it, and give the path", v.Name, v.From.Secret.Name)
		}
		value := expand(v.Value, values)
		if v.From.Field.Path == "metadata.name" {
			value = podName
		}
		values[v.Name] = value
		env = append(env, v.Name+"="+value)
	}
	for _, arg := range c.Args {
		args = append(args, expand(arg, values))
	}
	return env, args, nil
}

// expand replaces $(NAME), as Kubernetes does.
func expand(s string, values map[string]string) string {
	for name, value := range values {
		s = strings.ReplaceAll(s, "$("+name+")", value)
	}
	return s
}

// digestMark begins the first line of a rendered chart in testdata.
const digestMark = "# Made from the chart and values with the digest "

// digest returns a digest of everything from which Helm renders the chart.
func digest(valuesFile string) (string, error) {
	sum := sha256.New()
	add := func(path string) error {
		text, err := os.ReadFile(path)
		if err == nil {
			fmt.Fprintf(sum, "%s %d\n%s", filepath.Base(path), len(text), text)
		}
		return err
	}
	err := filepath.WalkDir(chartDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "README.md" || d.Name() == "NOTES.txt" {
			return err
		}
		return add(path)
	})
	if err := errors.Join(err, add(valuesFile)); err != nil {
		return "", fmt.Errorf("read the chart: %w", err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil)), nil
}
