package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rollcallhq/rollcall/internal/authority"
)

// madeCerts is what `rollcall cert` did; --json prints it.
type madeCerts struct {
	Dir       string        `json:"dir"`
	Authority madeAuthority `json:"authority"`
	Nodes     []madeNode    `json:"nodes"`
}

type madeAuthority struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
	// Created is false where an earlier call's authority was used.
	Created  bool      `json:"created"`
	NotAfter time.Time `json:"notAfter"`
}

type madeNode struct {
	Name     string    `json:"name"`
	Cert     string    `json:"cert"`
	Key      string    `json:"key"`
	Hosts    []string  `json:"hosts"`
	NotAfter time.Time `json:"notAfter"`
	// Flags are those of `rollcall serve` that use the files.
	Flags []string `json:"flags"`
}

// pairFiles are where a certificate and its key stand.
func pairFiles(dir, name string) (cert, key string) {
	return filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
}

// makeCerts writes the files; where anything is wrong, it writes none.
func makeCerts(o certOptions, requests []certRequest, now time.Time) (madeCerts, error) {
	now = now.UTC().Truncate(time.Second)
	made := madeCerts{Dir: o.dir}
	if err := nothingInTheWay(o, requests); err != nil {
		return made, err
	}
	ca, err := ensureAuthority(o.dir, now, &made.Authority)
	if err != nil {
		return made, err
	}
	pairs := make([]authority.Pair, len(requests))
	for i, r := range requests {
		node := newMadeNode(o, r, now, made.Authority.Cert)
		if pairs[i], err = issue(ca, node, now); err != nil {
			return made, err
		}
		made.Nodes = append(made.Nodes, node)
	}
	return made, made.write(ca, pairs)
}

func (m madeCerts) write(ca *authority.Authority, pairs []authority.Pair) error {
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

func nothingInTheWay(o certOptions, requests []certRequest) error {
	if o.force {
		return nil
	}
	var lines []string
	for _, r := range requests {
		cert, key := pairFiles(o.dir, r.name)
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

// ensureAuthority takes the authority that is in dir, or makes one and does not write it yet.
func ensureAuthority(dir string, now time.Time, made *madeAuthority) (*authority.Authority, error) {
	made.Cert, made.Key = pairFiles(dir, "ca")
	if !exists(made.Cert) && !exists(made.Key) {
		ca, err := authority.New("rollcall "+now.Format(time.DateTime), now, now.AddDate(0, 0, authorityDays))
		if err != nil {
			return nil, err
		}
		made.Created, made.NotAfter = true, ca.NotAfter()
		return ca, nil
	}
	var pair authority.Pair
	var err error
	for file, data := range map[string]*[]byte{made.Cert: &pair.Cert, made.Key: &pair.Key} {
		if *data, err = os.ReadFile(file); err != nil {
			return nil, fmt.Errorf("the authority in %s is not whole: bring %s, or give another --dir for a new one: %w", dir, file, err)
		}
	}
	ca, err := authority.Load(pair)
	if err != nil {
		return nil, fmt.Errorf("%s and %s are no authority of this command: give another --dir for a new one: %w", made.Cert, made.Key, err)
	}
	made.NotAfter = ca.NotAfter()
	return ca, nil
}

func newMadeNode(o certOptions, r certRequest, now time.Time, caFile string) madeNode {
	node := madeNode{Name: r.name, Hosts: r.hosts, NotAfter: now.AddDate(0, 0, o.days)}
	node.Cert, node.Key = pairFiles(o.dir, r.name)
	node.Flags = []string{"--tls-ca", caFile, "--tls-cert", node.Cert, "--tls-key", node.Key}
	return node
}

func issue(ca *authority.Authority, n madeNode, now time.Time) (authority.Pair, error) {
	pair, err := ca.Issue(n.Name, n.Hosts, now, n.NotAfter)
	if errors.Is(err, authority.ErrOutlives) {
		err = fmt.Errorf("%s: %w: give fewer --days, or another --dir for a new authority", n.Name, err)
	}
	return pair, err
}

// writePair writes both files whole. A running node that sees one before the other goes on with the pair that it has.
func writePair(certFile, keyFile string, pair authority.Pair) error {
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
	defer os.Remove(fresh.Name()) // it is gone after the rename
	_, err = fresh.Write(data)
	if err = errors.Join(err, fresh.Chmod(mode), fresh.Close()); err == nil {
		err = os.Rename(fresh.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}

// text is what was made, and what to do with it.
func (m madeCerts) text() string {
	var b strings.Builder
	verb := "Used the authority"
	if m.Authority.Created {
		verb = "Made an authority"
	}
	fmt.Fprintf(&b, "%s, until %s:\n  %s\n  %s   keep it off the nodes: it can make more of them\n", verb,
		m.Authority.NotAfter.Format(time.DateOnly), m.Authority.Cert, m.Authority.Key)
	for _, n := range m.Nodes {
		fmt.Fprintf(&b, "Made %s, until %s, for %s:\n  %s\n  %s\n", n.Name, n.NotAfter.Format(time.DateOnly), strings.Join(n.Hosts, ", "), n.Cert, n.Key)
	}
	b.WriteString("\nGive each node its own two files and " + m.Authority.Cert + ":\n")
	for _, n := range m.Nodes {
		fmt.Fprintf(&b, "  rollcall serve --node-id %s %s …\n", n.Name, strings.Join(n.Flags, " "))
	}
	return b.String()
}
