package config

import (
	"maps"
	"reflect"
)

// Reload returns the configuration of a running node that reads next: old with the new values that the node can take while it runs.
// changed names the settings that it takes, needRestart those that differ and that only a restart can change, both without dashes and
// in the order of the help.
func Reload(old, next Config) (now Config, changed, needRestart []string) {
	now = old
	now.LiveKit.Keys, now.SecretFiles.Keys = maps.Clone(next.LiveKit.Keys), next.SecretFiles.Keys
	if old.LiveKit.Host == next.LiveKit.Host { // otherwise they belong to the LiveKit that only a restart turns to
		now.LiveKit.APIKey, now.LiveKit.APISecret, now.LiveKit.Rate = next.LiveKit.APIKey, next.LiveKit.APISecret, next.LiveKit.Rate
		now.SecretFiles.APIKey, now.SecretFiles.APISecret = next.SecretFiles.APIKey, next.SecretFiles.APISecret
	}
	now.AdminToken, now.SecretFiles.AdminToken, now.CORSOrigins = next.AdminToken, next.SecretFiles.AdminToken, next.CORSOrigins
	now.SyncInterval, now.CleanupInterval, now.StaleAfter = next.SyncInterval, next.CleanupInterval, next.StaleAfter
	now.DrainDelay, now.LogLevel = next.DrainDelay, next.LogLevel
	for _, s := range settings() {
		switch {
		case s.same(&old, &next):
		case s.same(&now, &next):
			changed = append(changed, s.name)
		default:
			needRestart = append(needRestart, s.name)
		}
	}
	return now, changed, needRestart
}

// same reports whether two configurations have the same value of the setting.
func (s setting) same(a, b *Config) bool {
	if s.value != nil {
		return reflect.DeepEqual(s.value(a), s.value(b))
	}
	return s.show(a) == s.show(b)
}
