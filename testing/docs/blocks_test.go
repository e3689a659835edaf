package docs

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rollcallhq/rollcall/testing/harness/livekittest"
)

// tried returns the languages whose blocks a test tries, each with that test.
func tried() map[string]string {
	return map[string]string{
		"sh":     "TestCommandsWork",
		"yaml":   "TestLiveKitReadsItsConfiguration, TestRollcallReadsItsConfiguration",
		"json":   "TestAnswersAreJSON",
		"ini":    "TestUnitIsWhatSystemdKnows",
		"redis":  "TestACLIsEnoughAndNoMore",
		"python": "TestPythonConsumerHoldsTheKeys",
		"ts":     "TestTypeScriptConsumersHoldTheKeys, TestNextApp",
		"tsx":    "TestNextApp",
		"html":   "testing/browser",
		"env":    "TestNextApp",
		"js":     "testing/browser",
	}
}

// untried returns the blocks that no test tries, by language or, if they have none, by their beginning, each with the reason.
func untried() map[string]string {
	return map[string]string{
		"jsx":                          "needs React; what it names is held by TestElementIsAsItIsNamed",
		"vue":                          "needs Vue; what it names is held by TestElementIsAsItIsNamed",
		"rooms:participants:room-123":  "two keys for the eye; what they hold is held by testing/e2e",
		"LiveKit ──webhook──▶":         "a drawing",
		"> GET rooms:participants:":    "Redis' answers for the eye; testing/e2e",
		"> XREVRANGE rooms:events":     "Redis' answer for the eye; testing/harness/storetest",
		"id: 1795433840001-0":          "a stream for the eye; internal/httpapi",
		"$ rollcall cluster":           "output for the eye; cmd/rollcall's golden file",
		"HELD by the sync: LiveKit no": "output for the eye; cmd/rollcall's golden file",
		"rollcall: --data-dir":         "output for the eye; testing/e2e",
	}
}

// TestEveryBlockIsTried checks that every block of a page is tried, or listed in the table with the reason why not.
func TestEveryBlockIsTried(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, p := range read(t) {
		for _, b := range p.blocks() {
			if tried()[b.language] != "" {
				used[b.language] = true
				continue
			}
			known := false
			for begin := range untried() {
				if begin == b.language || b.language == "" && strings.HasPrefix(b.text, begin) {
					known, used[begin] = true, true
				}
			}
			if !known {
				t.Errorf("%s: nothing tries this %q block: write a test, or say why not in untried\n%s", p.name, b.language, b.text)
			}
		}
	}
	for _, table := range []map[string]string{tried(), untried()} {
		for name := range table {
			if !used[name] {
				t.Errorf("no page has a block %q any more: take it off the table", name)
			}
		}
	}
}

// each passes the pages' blocks of a language to a function, and fails if there are none.
func each(t *testing.T, language string, try func(page, string)) {
	t.Helper()
	found := false
	for _, p := range read(t) {
		for _, b := range p.blocks() {
			if b.language == language {
				found = true
				try(p, b.text)
			}
		}
	}
	if !found {
		t.Errorf("no page has a block of %s", language)
	}
}

func TestAnswersAreJSON(t *testing.T) {
	t.Parallel()
	// Omitted for readability: ,… means further fields.
	more := regexp.MustCompile(`,…`)
	each(t, "json", func(p page, text string) {
		var v any
		if err := json.Unmarshal([]byte(more.ReplaceAllString(text, "")), &v); err != nil {
			t.Errorf("%s: %v in\n%s", p.name, err, text)
		}
	})
}

// TestLiveKitReadsItsConfiguration passes the configuration that the pages recommend for LiveKit to a real livekit-server, which
// refuses unknown settings.
func TestLiveKitReadsItsConfiguration(t *testing.T) {
	t.Parallel()
	server, err := livekittest.Binary(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	each(t, "yaml", func(p page, text string) {
		if !strings.HasPrefix(text, "webhook:") {
			return
		}
		file := filepath.Join(t.TempDir(), "livekit.yaml")
		if err := os.WriteFile(file, []byte("keys: {APIabc: "+strings.Repeat("s", 36)+"}\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		// The server prints its ports and exits. If it cannot read the configuration, it prints only that, with exit status 0.
		out, err := exec.CommandContext(t.Context(), server, "--config", file, "ports").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "7880") || strings.Contains(string(out), "could not parse") {
			t.Errorf("%s: livekit-server: %v\n%s\nof\n%s", p.name, err, out, text)
		}
	})
}

func TestRollcallReadsItsConfiguration(t *testing.T) {
	t.Parallel()
	bin := program()
	each(t, "yaml", func(p page, text string) {
		if strings.HasPrefix(text, "webhook:") {
			return
		}
		file := filepath.Join(t.TempDir(), "rollcall.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), bin, "check-config", "--config", file)
		cmd.Env = []string{"LIVEKIT_API_SECRET=" + strings.Repeat("s", 36)}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\nof\n%s", p.name, err, out, text)
		}
	})
}

// worst is the highest exposure, in tenths, that `systemd-analyze security` may report.
const worst = "20"

// TestUnitIsWhatSystemdKnows checks the unit. A directive that systemd does not know is an error here and would be only a warning
// there.
func TestUnitIsWhatSystemdKnows(t *testing.T) {
	t.Parallel()
	bin := program()
	each(t, "ini", func(p page, text string) {
		unit := filepath.Join(t.TempDir(), "rollcall.service")
		text = strings.ReplaceAll(text, "/usr/bin/rollcall", bin)
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"verify", unit}, {"security", "--offline=true", "--threshold=" + worst, unit}} {
			out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
			if err != nil || args[0] == "verify" && len(out) > 0 {
				t.Errorf("%s: systemd-analyze %s: %v\n%s", p.name, args[0], err, out)
			}
		}
	})
}

// TestElementIsAsItIsNamed checks the attributes and events that the pages name for <sync-status-indicator>.
func TestElementIsAsItIsNamed(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile(filepath.Join(root, "internal/httpapi/web/static/sync-status-indicator.js"))
	if err != nil {
		t.Fatal(err)
	}
	tag, name := regexp.MustCompile(`<sync-status-indicator .*`), regexp.MustCompile(` [:@]?([a-z-]+)=["{]`)
	for _, language := range []string{"html", "jsx", "tsx", "vue"} {
		each(t, language, func(p page, text string) {
			named := name.FindAllStringSubmatch(tag.FindString(text), -1)
			for _, m := range named {
				if !strings.Contains(string(source), `"`+m[1]+`"`) {
					t.Errorf("%s: %s: the element knows no %s", p.name, language, m[1])
				}
			}
			if len(named) < 2 {
				t.Errorf("%s: %s: only %q is found in\n%s", p.name, language, named, text)
			}
		})
	}
}
