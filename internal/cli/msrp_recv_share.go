package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"imp/internal/agent/call"
	"imp/internal/cli/kit"
	"imp/internal/doc/sdp"
	msrpfile "imp/internal/msrp/file"
	"imp/internal/msrp/session"
	"imp/internal/msrp/wire"
)

// maxShared is how many files are read for their hashes, at most, to find the one that somebody asks for without its name.
const maxShared = 16

// errVague refuses a selector for which all files would have to be read.
var errVague = errors.New("a file is asked for by its name or size")

// choose finds the file of --share that an offer to receive one means (RFC 5547 section 8.3.2): a plain one of the directory itself,
// which no symbolic link is.
func (o *msrpRecvOptions) choose(offer *sdp.File) (*msrpfile.Source, *sdp.File, error) {
	if offer.Name == "" && offer.Size < 0 {
		return nil, nil, errVague
	}
	infos, err := o.candidates(offer.Name)
	if err != nil {
		return nil, nil, err
	}
	var sources []*msrpfile.Source
	defer func() {
		for _, s := range sources {
			_ = s.Close()
		}
	}()
	for _, info := range infos {
		if !info.Mode().IsRegular() || hidden(info.Name()) || offer.Size >= 0 && offer.Size != info.Size() {
			continue
		}
		if len(sources) == maxShared {
			return nil, nil, msrpfile.ErrMany
		}
		s, err := msrpfile.OpenPlain(filepath.Join(o.share, info.Name()))
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, s)
	}
	found, answer, err := msrpfile.Choose(offer, sources)
	for i, s := range sources {
		if s == found {
			sources = append(sources[:i], sources[i+1:]...)
			break
		}
	}
	return found, answer, err
}

// hidden are the names that are not given: those of hidden files, and of what has not come whole.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".part")
}

// candidates are what is in the directory of --share: all, or the one of that name. In a large directory that one is
// found without reading it.
func (o *msrpRecvOptions) candidates(name string) ([]os.FileInfo, error) {
	if name != "" {
		if filepath.Base(name) != name {
			return nil, nil
		}
		info, err := os.Lstat(filepath.Join(o.share, name))
		if err != nil {
			return nil, nil // it is not there, or no name that there can be
		}
		return []os.FileInfo{info}, nil
	}
	entries, err := os.ReadDir(o.share)
	if err != nil {
		return nil, err
	}
	infos := make([]os.FileInfo, 0, len(entries))
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// offered decides about a line on which somebody asks for a file.
func (o *msrpRecvOptions) offered(m *sdp.Media, in *call.Incoming, files *transfers[*msrpfile.Source]) (*sdp.File, error) {
	if m.File == nil || o.share == "" {
		return nil, &call.Refusal{Status: 488, Why: "nothing is sent from here"}
	}
	source, answer, err := o.choose(m.File)
	if err == nil && m.MaxSize > 0 && source.Size > m.MaxSize {
		_ = source.Close()
		err = msrpfile.ErrTooLarge
	}
	if err != nil {
		o.kit.Note("%s asked for %s: %v", in.From.URI, kit.CleanLine(m.File.Name), err)
		why := "the file cannot be sent"
		for _, known := range []error{msrpfile.ErrNoMatch, msrpfile.ErrMany, msrpfile.ErrTooLarge, errVague} {
			if errors.Is(err, known) {
				why = known.Error()
			}
		}
		return nil, &call.Refusal{Status: 488, Why: why}
	}
	files.put(m.File.ID, source)
	return answer, nil
}

// give sends a file to who asked for it, and tells what became of it.
func (o *msrpRecvOptions) give(ctx context.Context, leg *call.Leg, in *call.Incoming, source *msrpfile.Source) {
	defer source.Close()
	e := transferEvent{Head: o.kit.Head("transfer"), To: in.From.URI, Outcome: "failed", Name: source.Name}
	var sent *session.Sent
	part := leg.Line.File.Range
	body, size, err := source.Part(part)
	if err == nil {
		m := session.Message{Type: source.Type, Disposition: msrpfile.Disposition(source.Offer(nil)), Body: body, Size: size, SuccessReport: true,
			Progress: func(n int64) { e.Size = n }}
		if !leg.Remote.Accepts(m.Type) && leg.Remote.Accepts(msrpfile.CPIM) {
			m.Wrapped = []string{m.Type}
			m.Body, m.Size = msrpfile.Wrap(in.To, in.From.URI, m.Type, m.Disposition, body, size)
			m.Type, m.Disposition = msrpfile.CPIM, ""
		}
		sent, err = leg.Send(leg.Context(), m)
	}
	if err == nil {
		_, err = awaitReport(leg.Context(), sent)
	}
	if part != nil && part.Start > 1 {
		e.From = part.Start
	}
	if err != nil {
		e.Reason = err.Error()
		o.kit.Warn("sending %s to %s: %v", e.Name, e.To, err)
	} else {
		e.Outcome, e.MessageID, e.Status = "delivered", sent.ID, wire.OK
	}
	o.tell(ctx, e, nil)
}
