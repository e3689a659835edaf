package release

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// making matches a call of make with its first target.
var making = regexp.MustCompile(`\bmake ([a-z-]+)`)

// targets returns the targets of the Makefile.
func targets(t *testing.T) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):`).FindAllStringSubmatch(text(t, "Makefile"), -1) {
		all = append(all, m[1])
	}
	return all
}

// workflow is what the tests know of GitHub's form.
type workflow struct {
	On   map[string]any
	Jobs map[string]struct {
		RunsOn         string `yaml:"runs-on"`
		TimeoutMinutes int    `yaml:"timeout-minutes"`
		Permissions    map[string]string
		Steps          []struct {
			Uses, Run string
			With, Env map[string]any
		}
	}
	Permissions map[string]string
	Name        string
	Concurrency map[string]any
}

// TestWorkflows checks the files for GitHub: they call targets that exist, may write only where they publish, end by themselves, and pin the
// actions that they use.
func TestWorkflows(t *testing.T) {
	t.Parallel()
	want := map[string][]string{"ci.yml": {"check", "check-deploy", "vulncheck"}, "release.yml": {"check", "release"}}
	for name, wanted := range want {
		var w workflow
		parse(t, filepath.Join(".github/workflows", name), &w)
		if w.Permissions["contents"] != "read" || len(w.Permissions) != 1 {
			t.Errorf("%s: by default a job may only read, not %v", name, w.Permissions)
		}
		var made []string
		for id, job := range w.Jobs {
			if job.TimeoutMinutes == 0 || job.RunsOn == "" || strings.HasSuffix(job.RunsOn, "-latest") {
				t.Errorf("%s: job %s needs timeout-minutes and a fixed runs-on", name, id)
			}
			for i, step := range job.Steps {
				if (step.Uses == "") == (step.Run == "") {
					t.Errorf("%s: step %d of %s has either uses or run", name, i, id)
				}
				if step.Uses != "" && !regexp.MustCompile(`^actions/[a-z-]+@v\d+$`).MatchString(step.Uses) {
					t.Errorf("%s: %s is neither one of GitHub's own actions nor pinned", name, step.Uses)
				}
				for _, m := range making.FindAllStringSubmatch(step.Run, -1) {
					made = append(made, m[1])
				}
			}
		}
		checkTargets(t, name, made, wanted)
	}
}

// checkTargets checks that the targets exist and are those that are wanted.
func checkTargets(t *testing.T, name string, made, wanted []string) {
	t.Helper()
	for _, target := range made {
		if !slices.Contains(targets(t), target) {
			t.Errorf("%s calls make %s, which the Makefile does not have", name, target)
		}
	}
	slices.Sort(made)
	if !slices.Equal(slices.Compact(made), wanted) {
		t.Errorf("%s calls make %v, want %v", name, made, wanted)
	}
}

// TestGitLab checks the file for GitLab in the same way.
func TestGitLab(t *testing.T) {
	t.Parallel()
	var jobs map[string]any
	parse(t, ".gitlab-ci.yml", &jobs)
	stages := fmt.Sprint(jobs["stages"])
	var made []string
	for name, v := range jobs {
		job, ok := v.(map[string]any)
		if !ok || name == "default" {
			continue
		}
		if !strings.Contains(stages, fmt.Sprint(job["stage"])) || job["timeout"] == nil {
			t.Errorf("job %s needs a stage of %s and a timeout", name, stages)
		}
		script, ok := job["script"].([]any)
		if !ok {
			t.Errorf("job %s has no script", name)
		}
		for _, m := range making.FindAllStringSubmatch(fmt.Sprintln(script...), -1) {
			made = append(made, m[1])
		}
	}
	checkTargets(t, ".gitlab-ci.yml", made, []string{"check", "release", "vulncheck"})
}

// TestGoreleaserBuildsNothing checks that goreleaser publishes what make release builds. make check-deploy runs goreleaser's own check.
func TestGoreleaserBuildsNothing(t *testing.T) {
	t.Parallel()
	var config struct {
		Version int
		Before  struct{ Hooks []string }
		Builds  []struct{ Skip bool }
		Release struct {
			Draft      bool
			ExtraFiles []struct{ Glob string } `yaml:"extra_files"`
		}
	}
	parse(t, ".goreleaser.yaml", &config)
	if len(config.Before.Hooks) != 1 || !strings.HasPrefix(config.Before.Hooks[0], "make release ") || len(config.Builds) != 1 || !config.Builds[0].Skip {
		t.Errorf("%+v: it calls make release and builds nothing else", config)
	}
	if files := config.Release.ExtraFiles; !config.Release.Draft || len(files) != 1 || files[0].Glob != "bin/release/*" {
		t.Errorf("%+v: it drafts a release of bin/release/*", config.Release)
	}
}

// TestIssueForms checks the forms by the rules that GitHub applies: ids are unique, and each field has a label.
func TestIssueForms(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob(filepath.Join(root, ".github/ISSUE_TEMPLATE/*.yml"))
	if err != nil || len(names) < 4 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, path := range names {
		name := filepath.Join(".github/ISSUE_TEMPLATE", filepath.Base(path))
		if filepath.Base(path) == "config.yml" {
			continue
		}
		var form struct {
			Name, Description string
			Labels            []string
			Body              []struct {
				Type, ID    string
				Attributes  struct{ Label, Value, Description, Render string }
				Validations map[string]bool
			}
		}
		parse(t, name, &form)
		if form.Name == "" || form.Description == "" {
			t.Errorf("%s needs a name and a description", name)
		}
		seen := map[string]bool{}
		for _, field := range form.Body {
			switch field.Type {
			case "markdown":
				if field.Attributes.Value == "" {
					t.Errorf("%s: markdown needs a value", name)
				}
			case "textarea", "input":
				if field.Attributes.Label == "" || field.ID == "" || seen[field.ID] {
					t.Errorf("%s: field %q needs a label and an id of its own", name, field.ID)
				}
				seen[field.ID] = true
			default:
				t.Errorf("%s: %q is no type of a field", name, field.Type)
			}
		}
	}
}

// TestChangelog checks the form of Keep a Changelog: Unreleased first, then versions with dates, newest first, each with a link.
func TestChangelog(t *testing.T) {
	t.Parallel()
	log := text(t, "CHANGELOG.md")
	headings := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(log, -1)
	if len(headings) < 2 || headings[0][1] != "[Unreleased]" {
		t.Fatalf("%v: the first heading is [Unreleased]", headings)
	}
	released, before := regexp.MustCompile(`^\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$`), "9999"
	for _, h := range headings[1:] {
		m := released.FindStringSubmatch(h[1])
		if m == nil || m[2] > before {
			t.Errorf("%q is not [1.2.3] - 2026-01-31, or is not older than the one above it", h[1])
			continue
		}
		before = m[2]
		if !strings.Contains(log, "\n["+m[1]+"]: https://") {
			t.Errorf("%s has no link at the end", m[1])
		}
	}
	for _, h := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(log, -1) {
		if !slices.Contains([]string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security", "Known limits"}, h[1]) {
			t.Errorf("%q is no kind of change", h[1])
		}
	}
}
