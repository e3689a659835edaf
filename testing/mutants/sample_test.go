package mutants

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// site is a place where the sampler can change the code.
type site struct {
	file       string // from the repository's top
	line       int
	start, end int // byte offsets
	new        string
}

// TestSample tries changes that nobody chose: SAMPLE=./fsm N=50 make sample draws N places of a package's production code by SEED, changes each by
// itself and runs the package's tests. It fails for none: survivors are printed, to be judged in SURVIVORS.md. With AT="file:line …" it draws from
// those lines only, to try again with all tests what a few did not notice.
func TestSample(t *testing.T) {
	pkg := os.Getenv("SAMPLE")
	if pkg == "" {
		t.Log("make sample runs it")
		return
	}
	n, _ := strconv.Atoi(cmp.Or(os.Getenv("N"), "50"))
	seed, _ := strconv.ParseUint(cmp.Or(os.Getenv("SEED"), "1"), 10, 64)
	sites := sitesOf(t, strings.TrimPrefix(pkg, "./"))
	if lines := strings.Fields(os.Getenv("AT")); len(lines) > 0 {
		sites = slices.DeleteFunc(sites, func(s site) bool { return !slices.Contains(lines, fmt.Sprintf("%s:%d", s.file, s.line)) })
	}
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
	s := suite{pkg: pkg, run: os.Getenv("RUN")}
	if out, err := s.test(""); err != nil {
		t.Fatalf("%v fails without any change: %v\n%s", s, err, tail(out))
	}
	tried, noticed := 0, 0
	for _, at := range sites {
		if tried == n {
			break
		}
		old, m := at.mutant(t)
		out, err := s.test(m.overlay(t))
		if bytes.Contains(out, []byte("[build failed]")) {
			continue
		}
		if tried++; err != nil {
			noticed++
			continue
		}
		t.Logf("survives: %s:%d: %s becomes %s", at.file, at.line, old, at.new)
	}
	t.Logf("%d of %d changes of %s were noticed (seed %d, %d places)", noticed, tried, pkg, seed, len(sites))
}

// mutant is the change of a site, and the text that it replaces.
func (s site) mutant(t *testing.T) (old string, m mutant) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(top, s.file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text[s.start:s.end]), mutant{name: "sample", file: s.file, edits: []edit{{string(text), string(text[:s.start]) + s.new + string(text[s.end:])}}}
}

// sitesOf are all places of a package's production code where a condition can be negated, an operator exchanged or a statement left out.
func sitesOf(t *testing.T, dir string) (sites []site) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(top, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	exchange := map[token.Token]string{token.LSS: "<=", token.LEQ: "<", token.GTR: ">=", token.GEQ: ">", token.EQL: "!=", token.NEQ: "==",
		token.LAND: "||", token.LOR: "&&", token.ADD: "-", token.SUB: "+"}
	for _, path := range slices.Sorted(slices.Values(paths)) {
		built, err := build.Default.MatchFile(filepath.Dir(path), filepath.Base(path)) // not what only another build tag compiles
		if err != nil {
			t.Fatal(err)
		}
		if !built || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		add := func(from, to token.Pos, replacement string) {
			at := files.Position(from)
			sites = append(sites, site{filepath.Join(dir, filepath.Base(path)), at.Line, at.Offset, files.Position(to).Offset, replacement})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				from, to := files.Position(n.Cond.Pos()).Offset, files.Position(n.Cond.End()).Offset
				add(n.Cond.Pos(), n.Cond.End(), fmt.Sprintf("!(%s)", text[from:to]))
			case *ast.BinaryExpr:
				if other, ok := exchange[n.Op]; ok {
					add(n.OpPos, n.OpPos+token.Pos(len(n.Op.String())), other)
				}
			case *ast.ExprStmt, *ast.IncDecStmt:
				add(n.Pos(), n.End(), "")
			case *ast.AssignStmt:
				if n.Tok == token.ASSIGN {
					add(n.Pos(), n.End(), "")
				}
			case *ast.Ident:
				if other, ok := map[string]string{"true": "false", "false": "true"}[n.Name]; ok {
					add(n.Pos(), n.End(), other)
				}
			}
			return true
		})
	}
	return sites
}
