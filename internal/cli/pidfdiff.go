package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
	"imp/internal/doc/pidfdiff"
	"imp/internal/xml/charset"
	"imp/internal/xml/patch"
)

type pidfDiffOptions struct {
	kit      *kit.Kit
	version  uint32
	full     bool
	smallest bool
}

func newPIDFDiff(k *kit.Kit) *cobra.Command {
	o := &pidfDiffOptions{kit: k}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Print the changes between two presence documents as partial PIDF",
		Long: `Print the pidf-diff (RFC 5262) that makes presence document A equal to B. Both may be
presence documents or a pidf-full, and have to be of the same presentity. The exit status
is 0 when they are equal, 1 when they differ and 2 or more when that cannot be told.

With --full B is printed as a pidf-full, which is what a subscription begins with; with
--smallest that is done where it is not longer than the changes.`,
		Example: `  $ imp pidf diff alice.xml closed.xml --version 2
  <?xml version="1.0" encoding="UTF-8"?>
  <p:pidf-diff xmlns:p="urn:ietf:params:xml:ns:pidf-diff" entity="sip:alice@example.com" version="2">
    <p:replace sel="…/text()">closed</p:replace>
  </p:pidf-diff>

  $ imp pidf diff alice.xml closed.xml | imp pidf patch alice.xml | imp pidf show -
  sip:alice@example.com  closed
  …`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1]) },
	}
	cmd.Flags().Uint32Var(&o.version, "version", 1, "`N`, the version that B is")
	cmd.Flags().BoolVar(&o.full, "full", false, "print B as a pidf-full")
	cmd.Flags().BoolVar(&o.smallest, "smallest", false, "print B as a pidf-full where that is not longer")
	cmd.MarkFlagsMutuallyExclusive("full", "smallest")
	return cmd
}

func (o *pidfDiffOptions) run(_ context.Context, nameA, nameB string) error {
	a, err := readState(o.kit, nameA)
	if err != nil {
		return err
	}
	b, err := readState(o.kit, nameB)
	if err != nil {
		return err
	}
	made, changed, err := pidfdiff.Diff(a, b, o.version)
	if err == nil && (o.full || o.smallest) {
		var full []byte
		if full, err = pidfdiff.Full(b, o.version); o.full || len(full) <= len(made) {
			made = full
		}
	}
	if err != nil {
		return kit.Fail(kit.ExitDocument, "comparing "+inputName(nameA)+" with "+inputName(nameB), err, documentHint(err))
	}
	if err := o.kit.Print(made); err != nil || !changed {
		return err
	}
	return kit.Quiet(kit.ExitNo)
}

// readState reads a presence document or a pidf-full.
func readState(k *kit.Kit, name string) ([]byte, error) {
	src, err := k.ReadDocument(name)
	if err != nil {
		return nil, err
	}
	if src, err = charset.ToUTF8(src); err == nil {
		_, err = pidfdiff.Presence(src)
	}
	if err != nil {
		return nil, kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
	}
	return src, nil
}

type pidfPatchOptions struct {
	xmlPatchOptions
	presence   bool
	anyVersion bool
}

func newPIDFPatch(k *kit.Kit) *cobra.Command {
	o := &pidfPatchOptions{xmlPatchOptions: xmlPatchOptions{kit: k}}
	cmd := &cobra.Command{
		Use:   "patch ORIGINAL [PATCH|-]…",
		Short: "Apply partial PIDF to a presence document, as a watcher does",
		Long: `Apply partial presence documents (RFC 5262) to a presence document or a pidf-full and
print the result. It is done as a watcher does it: a pidf-full of a higher version
replaces what there is, a pidf-diff must have the next version and the same entity.
Several are applied in order, all or none.

A document that does not apply ends with status 1, and the error condition of RFC
5261 if there is one; with -o raw the error document is printed. An invalid one ends
with status 6. --explain prints what each operation selected and changed in place of
the document.`,
		Example: `  $ imp pidf patch alice.xml update.xml
  …
        <basic>closed</basic>
  …

  $ imp pidf patch --explain alice.xml update.xml
  1 replace alice.xml:5:14 presence/tuple/status/basic/text()
    - open
    + closed

  $ imp pidf patch full.xml update.xml later.xml --presence > now.xml`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], args[1:]) },
	}
	cmd.Flags().BoolVarP(&o.inPlace, "in-place", "i", false, "rewrite ORIGINAL and print nothing")
	cmd.Flags().BoolVar(&o.check, "check", false, "only see whether it applies")
	cmd.Flags().BoolVar(&o.explain, "explain", false, "print what each operation selected and changed")
	cmd.Flags().BoolVar(&o.presence, "presence", false, "make a presence document of a pidf-full")
	cmd.Flags().BoolVar(&o.anyVersion, "any-version", false, "do not look at versions")
	cmd.MarkFlagsMutuallyExclusive("in-place", "check")
	k.Emits(cmd, "operation", "with --explain: an operation was applied", operationEvent{})
	return cmd
}

func (o *pidfPatchOptions) run(_ context.Context, original string, patches []string) error {
	if o.inPlace && original == "-" {
		return kit.Fail(kit.ExitUsage, "pidf patch", "--in-place cannot rewrite stdin", "name a FILE")
	}
	if len(patches) == 0 {
		patches = []string{"-"}
	}
	state, err := readState(o.kit, original)
	if err != nil {
		return err
	}
	held, err := pidfdiff.NewCopy(state)
	if err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(original), err, documentHint(err))
	}
	for _, name := range patches {
		if err := o.apply(held, original, name); err != nil {
			return err
		}
	}
	if state = held.State(); o.presence {
		if state, err = pidfdiff.Presence(state); err != nil {
			return kit.Fail(kit.ExitDocument, "patching "+inputName(original), err, documentHint(err))
		}
	}
	switch {
	case o.inPlace:
		return replaceFile(o.kit, original, state)
	case o.check, o.explain:
		return nil
	}
	return o.kit.Print(state)
}

// apply takes a document into the state.
func (o *pidfPatchOptions) apply(held *pidfdiff.Copy, original, name string) error {
	src, err := o.kit.ReadDocument(name)
	if err != nil {
		return err
	}
	if src, err = charset.ToUTF8(src); err != nil {
		return kit.Fail(kit.ExitDocument, "reading "+inputName(name), err, documentHint(err))
	}
	d, err := pidfdiff.Parse(src)
	if err != nil {
		return o.refused(kit.ExitDocument, "reading "+inputName(name), err)
	}
	d.HasVersion = d.HasVersion && !o.anyVersion
	var told error
	if o.explain {
		held.Explain = func(a patch.Applied) {
			if told == nil {
				told = o.kit.Emit(o.operation(a, original, name))
			}
		}
	}
	doing := "patching " + inputName(original) + " with " + inputName(name)
	switch _, err := held.Take(d); {
	case errors.Is(err, pidfdiff.ErrVersion):
		return kit.Fail(kit.ExitNo, doing, err, "--any-version takes it all the same")
	case err != nil:
		return o.refused(kit.ExitNo, doing, err)
	}
	return told
}
