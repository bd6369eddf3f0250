package cli

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/xml/charset"
	xmltree "imp/internal/xml/tree"
)

func newXML(k *kit.Kit) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "xml",
		Short: "Lay out, select from, patch, compare and merge XML documents",
		Long: `Work on any XML documents, those of presence and messaging above all. Documents
may be in UTF-8, UTF-16, ISO-8859-1 or windows-1252; what is written is UTF-8. A
document type declaration is kept as it is and never read, so no entity is
expanded and nothing is fetched.`,
		Example: `  $ imp xml fmt alice.xml
  …

  $ imp xml select '//p:basic/text()' alice.xml
  open`,
	}
	return k.Group(cmd, newXMLFmt(k), newXMLCanon(k), newXMLSelect(k), newXMLPatch(k), newXMLDiff(k), newXMLMerge(k), newXMLCheck(k))
}

// readXML reads a document of a file or, when name is "-", of stdin.
func readXML(k *kit.Kit, name string) (*xmltree.Tree, error) {
	src, err := k.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	return parseXML(name, src)
}

func parseXML(name string, src []byte) (*xmltree.Tree, error) {
	utf, err := charset.ToUTF8(src)
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, "documents are well-formed XML in UTF-8, UTF-16, ISO-8859-1 or windows-1252")
	}
	t, err := xmltree.Parse(utf, xmltree.Options{AllowDTD: true})
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, "documents are well-formed XML in UTF-8, UTF-16, ISO-8859-1 or windows-1252")
	}
	return t, nil
}

// documentHint says what to do about a document that is refused. What SIP carries is UTF-8 without a document type
// declaration; imp xml check takes more.
func documentHint(err error) string {
	if errors.Is(err, xmltree.ErrDTD) || errors.Is(err, xmltree.ErrEncoding) {
		return "imp xml canon makes UTF-8 of it, without a document type declaration"
	}
	return "imp xml check tells more about the document"
}

// inputName is what messages call an input.
func inputName(name string) string {
	if name == "-" {
		return "stdin"
	}
	return name
}

// argument returns the argument number i, "-" when it is missing.
func argument(args []string, i int) string {
	if i < len(args) {
		return args[i]
	}
	return "-"
}

// replaceFile puts data in the place of a file at once: it is written beside it and then renamed. A link stays one, and
// the permissions stay.
func replaceFile(k *kit.Kit, name string, data []byte) error {
	failed := func(err error) error {
		return kit.Fail(kit.ExitUsage, "writing "+name, err, "the file stays as it was; its directory must be writable")
	}
	path, err := filepath.EvalSymlinks(k.Path(name))
	if err != nil {
		return failed(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return failed(err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return failed(err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return failed(err)
	}
	return nil
}
