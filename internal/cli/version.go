package cli

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"imp/internal/cli/kit"
)

// Version is the release.
const Version = "0.1.0"

type versionOptions struct {
	kit  *kit.Kit
	info func() (*debug.BuildInfo, bool)
}

func newVersion(k *kit.Kit) *cobra.Command {
	o := &versionOptions{kit: k, info: debug.ReadBuildInfo}
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Print the version of imp, of the Go release that built it, and the revision of the source when the build recorded it.",
		Example: `  $ imp version
  imp 0.1.0 …

  $ imp version -o json
  {"event":"version","time":"…","name":"imp","version":"0.1.0",…}`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	k.Emits(cmd, "version", "the version was asked for", versionEvent{})
	return cmd
}

type versionEvent struct {
	kit.Head
	Name     string `json:"name" doc:"always imp"`
	Version  string `json:"version" doc:"the release"`
	Go       string `json:"go" doc:"the release of Go that built the program"`
	Platform string `json:"platform" doc:"operating system and architecture"`
	Revision string `json:"revision,omitempty" doc:"the commit the program was built from, when the build recorded it"`
	Modified bool   `json:"modified,omitempty" doc:"whether the source differed from that commit"`
}

// Text implements kit.Texter.
func (e versionEvent) Text(w io.Writer, _ *kit.Style) error {
	rev := e.Revision
	if len(rev) > 12 {
		rev = rev[:12]
	}
	if e.Modified {
		rev += "+"
	}
	if rev != "" {
		rev = ", " + rev
	}
	_, err := fmt.Fprintf(w, "%s %s (%s, %s%s)\n", e.Name, e.Version, e.Go, e.Platform, rev)
	return err
}

func (o *versionOptions) run(context.Context) error {
	e := versionEvent{Head: o.kit.Head("version"), Name: "imp", Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := o.info(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				e.Revision = s.Value
			case "vcs.modified":
				e.Modified = s.Value == "true"
			}
		}
	}
	return o.kit.Emit(e)
}
