package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

const keysForm = `give pairs such as "key: secret, key2: secret2", or YAML as LiveKit's own LIVEKIT_KEYS`

// setLiveKitKeys reads keys as LiveKit reads its LIVEKIT_KEYS, as a YAML mapping, and also pairs "key: secret" separated by
// commas or line ends. A text that could be both has the meaning that it has to LiveKit.
func setLiveKitKeys(c *Config, s string) error {
	keys, err := yamlKeys(s)
	if keys == nil && err == nil {
		keys, err = pairKeys(s)
	}
	if err != nil {
		return err
	}
	c.LiveKit.Keys = keys
	return nil
}

// yamlKeys returns nil without an error if the text is not a mapping.
func yamlKeys(s string) (map[string]Secret, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	for _, text := range []string{s, "{" + s + "}"} { // pairs between commas are the inside of a flow mapping
		var values map[string]any
		if err := yaml.Unmarshal([]byte(text), &values); err != nil || values == nil {
			continue // the parser's own text may quote a secret
		}
		keys, unset := map[string]Secret{}, false
		for key, value := range values {
			secret, isText := value.(string)
			unset = unset || value == nil
			if !isText && value != nil {
				return nil, errors.New("the secret of a pair (not shown) is not text to YAML: put it in quotes, as LiveKit needs it too")
			}
			// A comma at the end of a line separates pairs. It is not part of a secret if the text can be read as a flow
			// mapping.
			if key == "" || secret == "" || text == s && strings.HasSuffix(secret, ",") {
				unset = true
			}
			keys[key] = Secret(secret)
		}
		if !unset {
			return keys, nil
		}
	}
	return nil, nil
}

// pairKeys reads "key:secret" pairs that are not YAML, such as those without a space after the colon.
func pairKeys(s string) (map[string]Secret, error) {
	keys := map[string]Secret{}
	pairs := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == '\n' })
	for n, pair := range pairs {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, secret, ok := strings.Cut(pair, ":")
		key, secret = strings.TrimSpace(key), strings.TrimSpace(secret)
		if !ok || key == "" || secret == "" || strings.ContainsAny(key, `{}"'`) || strings.ContainsAny(secret[:1], `{"'`) {
			return nil, fmt.Errorf(`pair %d (not shown) is not "key: secret": %s`, n+1, keysForm)
		}
		if _, twice := keys[key]; twice {
			return nil, fmt.Errorf("the key of pair %d is given twice: give each key once, as key: secret", n+1)
		}
		keys[key] = Secret(secret)
	}
	return keys, nil
}
