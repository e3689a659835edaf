package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// badTexts are what no message may contain: it would be printed with doubled quotes, or with a full stop in the middle of a sentence.
var badTexts = map[string]*regexp.Regexp{
	"%q quotes by itself":                         regexp.MustCompile(`["'` + "`" + `]%[+#.0-9]*q|%[+#.0-9]*q["'` + "`" + `]`),
	"a sentence that ends goes on behind a colon": regexp.MustCompile(`\S\.:\s`),
	"two full stops":                              regexp.MustCompile(`[^./]\.\.( |$)`),
}

// TestTextsOfErrors checks the strings of all production code, and that no error ends in a full stop, since others are put around it.
func TestTextsOfErrors(t *testing.T) {
	t.Parallel()
	read := 0
	for _, dir := range []string{"actors", "client", "cluster", "cmd", "fsm", "internal", "reconcile"} {
		err := filepath.WalkDir("../../"+dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".pb.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err == nil {
				read++
				checkTexts(t, path, file)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read < 100 {
		t.Errorf("only %d files were read", read)
	}
}

func checkTexts(t *testing.T, path string, file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BasicLit, *ast.BinaryExpr:
			text, ok := constant(n.(ast.Expr))
			for why, bad := range badTexts {
				if ok && bad.MatchString(text) {
					t.Errorf("%s: %s: %q", path, why, text)
				}
			}
		case *ast.CallExpr:
			name, _ := n.Fun.(*ast.SelectorExpr)
			if name == nil || len(n.Args) == 0 || name.Sel.Name != "Errorf" && name.Sel.Name != "Usagef" && !isErrorsNew(name) {
				return true
			}
			if text, ok := constant(n.Args[0]); ok && strings.HasSuffix(text, ".") {
				t.Errorf("%s: the error ends in a full stop: %q", path, text)
			}
		}
		return true
	})
}

func isErrorsNew(s *ast.SelectorExpr) bool {
	pkg, ok := s.X.(*ast.Ident)
	return ok && pkg.Name == "errors" && s.Sel.Name == "New"
}

// constant returns the value of a string, or of several that are put together.
func constant(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, e.Kind == token.STRING && err == nil
	case *ast.BinaryExpr:
		left, ok := constant(e.X)
		right, also := constant(e.Y)
		return left + right, e.Op == token.ADD && ok && also
	case *ast.ParenExpr:
		return constant(e.X)
	}
	return "", false
}
