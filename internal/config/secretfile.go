package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// MaxSecretFile is the size of the largest file that a secret is read from, in bytes.
const MaxSecretFile = 64 << 10

// secretFile is the setting that names a file with the value of another one, which is secret or changes together with a secret.
func secretFile(of, group string, field func(*Config) *string) setting {
	s := checked(of+"-file", "file", "", group, "file that holds the value of --"+of+", in its place; line ends around it are ignored", field, anyText)
	s.fileOf = of
	return s
}

// readAgain returns the setting as one whose file a reload reads again, for a running node to take its value.
func (s setting) readAgain() setting {
	s.help += "; read again on reload"
	return s.live()
}

// mayBeMissing returns the setting as one whose file may be missing if its path begins with -. systemd has the same sign.
func (s setting) mayBeMissing() setting {
	s.optional = true
	s.help += "; with a - before the path the file may be missing or empty, and give nothing"
	return s
}

// readSecretFiles puts the contents of the files into the texts of the settings whose values they hold. A setting that is given
// directly as well is a problem.
func readSecretFiles(sources, texts map[string]string, p *problems) {
	for _, s := range settings() {
		path := texts[s.name]
		if s.fileOf == "" || path == "" {
			continue
		}
		if texts[s.fileOf] != "" {
			p.report(s.name, fmt.Sprintf("%s is given as well: give one of the two", p.names[s.fileOf]))
			continue
		}
		path, optional := s.path(path)
		text, err := ReadSecret(path)
		if optional && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, errEmptyFile)) {
			continue
		}
		if err != nil {
			p.report(s.name, hideURLUser(err.Error(), path))
			p.told[s.fileOf] = true
			continue
		}
		if of := named(s.fileOf); !of.secret && of.set(&Config{}, text) != nil { // its error would quote what may be a secret
			p.report(s.name, fmt.Sprintf("%q holds a space or control character (not shown): give the path of a file that holds the value alone", path))
			p.told[s.fileOf] = true
			continue
		}
		texts[s.fileOf], sources[s.fileOf] = text, "file "+path
		p.names[s.fileOf], p.from[s.fileOf] = p.names[s.name], " (in "+path+")"
	}
}

// named returns the setting of that name.
func named(name string) setting {
	all := settings()
	return all[slices.IndexFunc(all, func(s setting) bool { return s.name == name })]
}

// path returns the path of the setting's file, and whether the file may be missing.
func (s setting) path(text string) (path string, optional bool) {
	if s.optional {
		return strings.CutPrefix(text, "-")
	}
	return text, false
}

var errEmptyFile = errors.New("is empty")

// ReadSecret returns the content of a file without the line ends around it. Its errors name the path and never the content.
func ReadSecret(path string) (string, error) {
	text, err := readRegular(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: give the path of a readable file that holds the value", err)
	case len(text) > MaxSecretFile:
		return "", fmt.Errorf("%q holds more than %d KiB: give the path of a file that holds the value alone", path, MaxSecretFile>>10)
	}
	secret := strings.Trim(string(text), "\r\n")
	if secret == "" {
		return "", fmt.Errorf("%q %w: write the value into it", path, errEmptyFile)
	}
	return secret, nil
}

// ReadAdminToken sets a token that is still empty from the file that ROLLCALL_ADMIN_TOKEN_FILE names, for commands that ask a node. It returns the
// path of that file, or "" if it is not used.
func ReadAdminToken(vars map[string]string, token *string) (path string, err error) {
	name := EnvName("admin-token-file")
	path = vars[name]
	if path == "" || *token != "" {
		return "", nil
	}
	if *token, err = ReadSecret(path); err != nil {
		return "", Usagef("%s: %v", name, err)
	}
	return path, nil
}

// readRegular reads a little more than MaxSecretFile of a file. It refuses pipes and devices, whose content is gone at the next reload.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &os.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxSecretFile+1))
}
