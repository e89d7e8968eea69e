package labeling

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"rlhf/internal/dataset"
	"rlhf/labeling/exchange"
	"rlhf/storage"
)

// maxUpload is the most bytes of a file that is imported.
const maxUpload = 64 << 20

// exchangeAPI registers what brings data in and out.
func (s *Server) exchangeAPI(api huma.API) {
	tag := []string{"data"}
	handle(s, api, admins, huma.Operation{OperationID: "formats", Method: http.MethodGet, Path: "/api/admin/formats", Summary: "The formats of data", Tags: tag}, s.formats)
	handle(s, api, admins, huma.Operation{OperationID: "import", Method: http.MethodPost, Path: "/api/admin/projects/{id}/import", MaxBodyBytes: maxUpload, BodyReadTimeout: 10 * time.Minute,
		Summary: "Bring in tasks, or rankings made elsewhere: the body is the file, which may be compressed", Tags: tag}, s.importFile)
	handle(s, api, admins, huma.Operation{OperationID: "export", Method: http.MethodGet, Path: "/api/admin/projects/{id}/export", Summary: "The rankings as a file in a ZIP archive, with a manifest", Tags: tag,
		Responses: map[string]*huma.Response{"200": {Description: "The archive", Content: map[string]*huma.MediaType{"application/zip": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}}}}}, s.exportFile)
}

type formatJSON struct {
	Name   string   `json:"name"`
	About  string   `json:"about"`
	Reads  bool     `json:"reads"`
	Writes bool     `json:"writes"`
	Loses  []string `json:"loses" nullable:"false" doc:"what of a ranking is not written"`
}

type formatsJSON struct {
	Formats []formatJSON `json:"formats" nullable:"false"`
}

func (s *Server) formats(context.Context, *struct{}) (*body[formatsJSON], error) {
	out := formatsJSON{Formats: []formatJSON{}}
	for _, f := range dataset.Formats() {
		if f.Rankings == nil && f.WriteRankings == nil {
			continue
		}
		j := formatJSON{f.Name, f.As(dataset.KindRankings), f.Rankings != nil || f.Name == "ai2", f.WriteRankings != nil, []string{}}
		if j.Writes {
			_, loses := dataset.Holds(f.Name)
			for _, t := range loses {
				j.Loses = append(j.Loses, string(t))
			}
		}
		out.Formats = append(out.Formats, j)
	}
	return answer(out)
}

type importIn struct {
	ID      int64  `path:"id" minimum:"1"`
	Format  string `query:"format" maxLength:"40" doc:"one of formats; without it, it is found out"`
	What    string `query:"what" required:"true" enum:"tasks,rankings"`
	Kind    string `query:"kind" enum:"normal,calibration,gold,honeypot,training,example" default:"normal" doc:"of tasks; the ranks of a file of rankings are the researcher's own answer to any but normal ones"`
	Name    string `query:"name" maxLength:"200" doc:"of the file"`
	SkipBad bool   `query:"skip_bad" doc:"count records that cannot be read, and go on"`
	Again   bool   `query:"again" doc:"add rankings once more that were imported before"`
	RawBody []byte `contentType:"application/octet-stream"`
}

type importedJSON struct {
	Tasks    int             `json:"tasks" doc:"new ones"`
	There    int             `json:"there" doc:"tasks that the project had"`
	Rankings int             `json:"rankings"`
	Extra    int             `json:"extra" doc:"rankings beyond what is wanted of their tasks"`
	Skipped  int             `json:"skipped" doc:"records that could not be read or held"`
	Reasons  []string        `json:"reasons" nullable:"false" doc:"of the first few of those"`
	Lost     []exchange.Loss `json:"lost" nullable:"false" doc:"what the database does not hold of the others"`
}

func (s *Server) importFile(ctx context.Context, in *importIn) (*body[importedJSON], error) {
	p, err := s.store.Project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	if len(in.RawBody) == 0 {
		return nil, refusal{http.StatusUnprocessableEntity, "file", "The file is empty.", ""}
	}
	if _, err := dataset.Named(in.Format, ""); in.Format != "" && in.Format != "auto" && err != nil {
		return nil, refusal{http.StatusUnprocessableEntity, "format", sentence(err), "format"}
	}
	path, err := spooled(in.RawBody, in.Name)
	if err != nil {
		return nil, err
	}
	defer os.Remove(path)
	how := exchange.Rankings
	if in.What == storage.ImportTasks {
		how = exchange.Tasks
	}
	name := in.Name
	if name == "" {
		name = "file"
	}
	out, err := how(ctx, s.store, exchange.Importing{Project: p, Read: dataset.Options{Format: in.Format, SkipBad: in.SkipBad}, Path: path, Name: name, Again: in.Again, Kind: in.Kind})
	var stopped *exchange.Interrupted
	if errors.As(err, &stopped) {
		s.log.Error("import", "error", err)
	}
	if err != nil {
		return nil, err
	}
	return answer(importedJSON{out.Tasks, out.There, out.Rankings, out.Extra, out.Skipped, append([]string{}, out.Reasons...), append([]exchange.Loss{}, out.Lost...)})
}

// spooled writes what was sent to a file, which is read twice. Its name has the extension of the one sent, by which
// Parquet and CSV are known.
func spooled(raw []byte, name string) (path string, err error) {
	ext := strings.ToLower(filepath.Ext(strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")))
	switch ext {
	case ".json", ".jsonl", ".csv", ".parquet":
	default:
		ext = "" // as the standard input, of which nothing is known
	}
	f, err := os.CreateTemp("", "rlhf-*"+ext)
	if err != nil {
		return "", err
	}
	_, err = f.Write(raw)
	return f.Name(), errors.Join(err, f.Close())
}

type exportIn struct {
	ID        int64  `path:"id" minimum:"1"`
	Format    string `query:"format" maxLength:"40" default:"rankings" doc:"one of formats"`
	Names     bool   `query:"names" doc:"labelers by name, not by pseudonym"`
	Decisions bool   `query:"decisions" doc:"the reviewers' decisions too, as rankings with the flag decision"`
	SkipBad   bool   `query:"skip_bad" doc:"count rankings that the format cannot hold, and go on"`
}

// exportFile writes the archive to a temporary file first: nobody gets half of one, and a slow receiver does not keep the
// database's snapshot.
func (s *Server) exportFile(ctx context.Context, in *exportIn) (*huma.StreamResponse, error) {
	p, err := s.store.Project(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	ext, ok := dataset.WrittenExt(in.Format)
	if !ok {
		return nil, refusal{http.StatusUnprocessableEntity, "format", fmt.Sprintf("format: found %q, expected one of %s.", in.Format, strings.Join(dataset.Writable(), ", ")), "format"}
	}
	f, err := os.CreateTemp("", "rlhf-*.zip")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil { // it lives as long as it is open
		return nil, errors.Join(err, f.Close())
	}
	e := exchange.Exporting{Project: p, Format: in.Format, Names: in.Names, Decisions: in.Decisions, SkipBad: in.SkipBad}
	if err := archive(ctx, s.store, f, e, "rankings"+ext); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer f.Close()
		c.SetHeader("Content-Type", "application/zip")
		c.SetHeader("Content-Disposition", fmt.Sprintf(`attachment; filename="project-%d-%s.zip"`, p.ID, in.Format))
		c.SetHeader("Content-Length", fmt.Sprint(size))
		if _, err := io.Copy(c.BodyWriter(), f); err != nil {
			s.log.Debug("export", "error", err) // the receiver left
		}
	}}, nil
}

// archive writes the file of rankings and its manifest as a ZIP archive.
func archive(ctx context.Context, db exchange.Database, w io.Writer, e exchange.Exporting, name string) error {
	z := zip.NewWriter(w)
	data, err := z.Create(name)
	if err != nil {
		return err
	}
	m, err := exchange.Export(ctx, db, data, e)
	if err != nil {
		return err
	}
	m.File = name
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	manifest, err := z.Create("manifest.json")
	if err != nil {
		return err
	}
	if _, err := manifest.Write(append(raw, '\n')); err != nil {
		return err
	}
	return z.Close()
}
