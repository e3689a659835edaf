package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// MaxSecretFile is the size of the largest file that a secret is read from, in bytes.
const MaxSecretFile = 64 << 10

// secretFile is the setting that names a file with the value of another, secret one.
func secretFile(of, group string, field func(*Config) *string) setting {
	help := "file that holds the value of --" + of + ", in its place; line ends around it are ignored; read again on reload"
	s := checked(of+"-file", "file", "", group, help, field, anyText)
	s.fileOf = of
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
		text, err := ReadSecret(path)
		if err != nil {
			p.report(s.name, hideURLUser(err.Error(), path))
			p.told[s.fileOf] = true
			continue
		}
		texts[s.fileOf], sources[s.fileOf] = text, "file "+path
		p.names[s.fileOf], p.from[s.fileOf] = p.names[s.name], " (in "+path+")"
	}
}

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
		return "", fmt.Errorf("%q is empty: write the value into it", path)
	}
	return secret, nil
}

// ReadAdminToken sets a token that is still empty from the file that ROLLCALL_ADMIN_TOKEN_FILE names, for commands that ask a node.
func ReadAdminToken(vars map[string]string, token *string) (err error) {
	name := EnvName("admin-token-file")
	path := vars[name]
	if path == "" || *token != "" {
		return nil
	}
	if *token, err = ReadSecret(path); err != nil {
		return Usagef("%s: %v", name, err)
	}
	return nil
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
