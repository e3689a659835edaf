package authority

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// MaxDays is how many days an authority that MakeFiles makes is valid.
const MaxDays = 3650

// Options say what MakeFiles makes. Its errors name the flags of `rollcall cert` that set them.
type Options struct {
	// Dir is the directory of the files. It is made if it is missing.
	Dir string
	// Days is how many days the nodes' certificates are valid, 1 to MaxDays.
	Days int
	// Force replaces node certificates that exist.
	Force bool
}

// Request is a node and the hosts under which others dial it.
type Request struct {
	Name  string
	Hosts []string
}

// Made is what MakeFiles has made, in the form that `rollcall cert --json` prints.
type Made struct {
	Dir       string        `json:"dir"`
	Authority MadeAuthority `json:"authority"`
	Nodes     []MadeNode    `json:"nodes"`
}

// MadeAuthority is the authority, with the paths of its files.
type MadeAuthority struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	// Created is false if an existing authority was used.
	Created  bool      `json:"created"`
	NotAfter time.Time `json:"notAfter"`
}

// MadeNode is the certificate of one node, with the paths of its files.
type MadeNode struct {
	Name     string    `json:"name"`
	Cert     string    `json:"cert"`
	Key      string    `json:"key"`
	Hosts    []string  `json:"hosts"`
	NotAfter time.Time `json:"notAfter"`
	// Flags are the flags of `rollcall serve` that use the files.
	Flags []string `json:"flags"`
}

// pairFiles returns the paths of a certificate and its key.
func pairFiles(dir, name string) (cert, key string) {
	return filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
}

// MakeFiles writes a certificate for each node, and an authority unless Dir has one. If anything is wrong, it writes nothing.
func MakeFiles(o Options, requests []Request, now time.Time) (Made, error) {
	now = now.UTC().Truncate(time.Second)
	made := Made{Dir: o.Dir}
	if err := nothingInTheWay(o, requests); err != nil {
		return made, err
	}
	ca, err := ensureAuthority(o.Dir, now, &made.Authority)
	if err != nil {
		return made, err
	}
	pairs := make([]Pair, len(requests))
	for i, r := range requests {
		node := newNode(o, r, now, made.Authority.Cert)
		if pairs[i], err = issue(ca, node, now); err != nil {
			return made, err
		}
		made.Nodes = append(made.Nodes, node)
	}
	return made, made.write(ca, pairs)
}

func (m Made) write(ca *Authority, pairs []Pair) error {
	if err := os.MkdirAll(m.Dir, 0o700); err != nil {
		return fmt.Errorf("--dir: give a directory that can be written: %w", err)
	}
	if m.Authority.Created {
		if err := writePair(m.Authority.Cert, m.Authority.Key, ca.Pair()); err != nil {
			return err
		}
	}
	for i, n := range m.Nodes {
		if err := writePair(n.Cert, n.Key, pairs[i]); err != nil {
			return err
		}
	}
	return nil
}

func nothingInTheWay(o Options, requests []Request) error {
	if o.Force {
		return nil
	}
	var lines []string
	for _, r := range requests {
		cert, key := pairFiles(o.Dir, r.Name)
		for _, file := range []string{cert, key} {
			if exists(file) {
				lines = append(lines, fmt.Sprintf("%s is there already: give --force to replace it, or another name or --dir", file))
			}
		}
	}
	if len(lines) > 0 {
		return errors.New(strings.Join(append(lines, "nothing was written"), "\n"))
	}
	return nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

// ensureAuthority loads the authority in dir, or makes one without writing it yet.
func ensureAuthority(dir string, now time.Time, made *MadeAuthority) (*Authority, error) {
	made.Cert, made.Key = pairFiles(dir, "ca")
	if !exists(made.Cert) && !exists(made.Key) {
		ca, err := New("rollcall "+now.Format(time.DateTime), now, now.AddDate(0, 0, MaxDays))
		if err != nil {
			return nil, err
		}
		made.Created, made.NotAfter = true, ca.NotAfter()
		return ca, nil
	}
	var pair Pair
	var err error
	for file, data := range map[string]*[]byte{made.Cert: &pair.Cert, made.Key: &pair.Key} {
		if *data, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("the authority in %s is not whole: bring %s, or give another --dir for a new one: %w", dir, file, err)
		}
	}
	ca, err := Load(pair)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no authority of this command: give another --dir for a new one: %w", made.Cert, made.Key, err)
	}
	made.NotAfter = ca.NotAfter()
	return ca, nil
}

func newNode(o Options, r Request, now time.Time, caFile string) MadeNode {
	node := MadeNode{Name: r.Name, Hosts: r.Hosts, NotAfter: now.AddDate(0, 0, o.Days)}
	node.Cert, node.Key = pairFiles(o.Dir, r.Name)
	node.Flags = []string{"--tls-ca", caFile, "--tls-cert", node.Cert, "--tls-key", node.Key}
	return node
}

func issue(ca *Authority, n MadeNode, now time.Time) (Pair, error) {
	pair, err := ca.Issue(n.Name, n.Hosts, now, n.NotAfter)
	if errors.Is(err, ErrOutlives) {
		err = fmt.Errorf("%s: %w: give fewer --days, or another --dir for a new authority", n.Name, err)
	}
	return pair, err
}

// writePair writes each file atomically. A running node that sees one before the other keeps the pair that it has.
func writePair(certFile, keyFile string, pair Pair) error {
	if err := writeWhole(keyFile, pair.Key, 0o600); err != nil {
		return err
	}
	return writeWhole(certFile, pair.Cert, 0o644)
}

func writeWhole(file string, data []byte, mode fs.FileMode) error {
	fresh, err := os.CreateTemp(filepath.Dir(file), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s: give a --dir that can be written: %w", file, err)
	}
	defer os.Remove(fresh.Name()) // after the rename it no longer exists
	_, err = fresh.Write(data)
	if err = errors.Join(err, fresh.Chmod(mode), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// GoodHost reports whether host can be in a certificate: an IP address without a zone, or a DNS name, whose first label
// may be a star.
func GoodHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Zone() == ""
	}
	labels := strings.Split(strings.TrimPrefix(host, "*."), ".")
	numeric := true
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "-") != label || strings.ContainsFunc(label, notInLabel) {
			return false
		}
		numeric = strings.Trim(label, "0123456789") == ""
	}
	// A last label of digits is a mistyped IP address.
	return len(host) <= 253 && !numeric
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}
