package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"rlhf/labeling"
	"rlhf/storage"
)

func (a *app) labelServeCommand() *cobra.Command {
	var name string
	cmd := a.withDB("serve --db FILE [--link NAME]", "Serve the labeling application until interrupted; prints a one-time link if there is no admin yet", []string{"label"}, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		l, err := net.Listen("tcp", c.Label.Addr)
		if err != nil {
			return err
		}
		base := c.Label.Base(l.Addr().String())
		if name == "" {
			if name, err = a.firstAdmin(ctx, db); err != nil {
				return errors.Join(err, l.Close())
			}
		}
		link := ""
		if name != "" {
			if link, err = newLink(ctx, db, name, base); err != nil {
				return errors.Join(err, l.Close())
			}
		}
		a.say("labeling at %s (projects and figures at /admin); Ctrl-C ends it", base)
		if link != "" {
			a.say("%s signs in once, within %d hours, at %s", name, int(labeling.LinkLife.Hours()), link)
		}
		return labeling.NewServer(c.Label, db, a.log).Serve(ctx, l)
	})
	cmd.Flags().StringVar(&name, "link", "", "print a one-time link for whoever has this name")
	return cmd
}

// firstAdmin adds an admin without a password if nobody is one, and returns their name; else "".
func (a *app) firstAdmin(ctx context.Context, db *storage.DB) (name string, err error) {
	people, err := db.People(ctx)
	if err != nil || slices.ContainsFunc(people, func(p storage.Person) bool { return p.Role == storage.RoleAdmin && !p.Disabled }) {
		return "", err
	}
	l, err := db.CreateLabeler(ctx, "admin", storage.RoleAdmin, "")
	return l.Name, err
}

// newLink makes a one-time link for a person on a server at base.
func newLink(ctx context.Context, db *storage.DB, name, base string) (string, error) {
	l, err := db.LabelerByName(ctx, name)
	if err != nil {
		return "", err
	}
	secret, hash := labeling.NewSecret()
	if err := db.CreateLink(ctx, l.ID, hash, time.Now().Add(labeling.LinkLife)); err != nil {
		return "", err
	}
	return labeling.LinkURL(base, secret), nil
}

func (a *app) labelUserCommand() *cobra.Command {
	var name, role string
	var reset, disable, enable, noPassword bool
	cmd := a.withDB("user --db FILE [--name NAME]", "Add a labeler, reviewer or admin; without a name, list them. The password is read from the input, or drawn if that is empty", nil, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		if name == "" {
			return a.listPeople(ctx, db)
		}
		name, err := labeling.CheckName(name)
		if err != nil {
			return err
		}
		if disable || enable {
			l, err := db.LabelerByName(ctx, name)
			if err != nil {
				return err
			}
			_, err = db.ChangePerson(ctx, l.ID, storage.PersonChange{Disabled: &disable})
			return err
		}
		password, drawn, err := "", false, error(nil)
		hash := ""
		if !noPassword {
			if password, drawn, err = a.password(name); err != nil {
				return err
			}
			hash = labeling.HashPassword(password)
		}
		if reset {
			err = db.SetPassword(ctx, name, hash)
		} else {
			_, err = db.CreateLabeler(ctx, name, role, hash)
		}
		if err != nil {
			return err
		}
		if drawn {
			fmt.Fprintf(a.out, "%s\t%s\n", name, password)
		}
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "name to sign in with")
	f.StringVar(&role, "role", storage.RoleLabeler, "labeler, reviewer or admin")
	f.BoolVar(&reset, "reset", false, "give somebody who is there a new password; their sessions end")
	f.BoolVar(&noPassword, "no_password", false, "they sign in by one-time links only")
	f.BoolVar(&disable, "disable", false, "let somebody in no longer; their sessions end")
	f.BoolVar(&enable, "enable", false, "let somebody in again")
	cmd.MarkFlagsMutuallyExclusive("reset", "disable", "enable")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if roles := []string{storage.RoleLabeler, storage.RoleReviewer, storage.RoleAdmin}; !slices.Contains(roles, role) {
			return fmt.Errorf("--role: found %q, expected one of %s", role, strings.Join(roles, ", "))
		}
		return nil
	}
	return cmd
}

func (a *app) listPeople(ctx context.Context, db *storage.DB) error {
	people, err := db.People(ctx)
	if err != nil {
		return err
	}
	for _, p := range people {
		seen, note := "never", ""
		if !p.LastSeen.IsZero() {
			seen = p.LastSeen.Local().Format(time.DateTime)
		}
		switch {
		case p.Forgotten:
			note = " (forgotten)"
		case p.Disabled:
			note = " (disabled)"
		}
		fmt.Fprintf(a.out, "%-20s %-8s %-14s %6d rankings, last seen %s%s\n", p.Name, p.Role, p.Pseudonym, p.Rankings, seen, note)
	}
	return nil
}

// password asks for a password: on a terminal unseen, otherwise as the first line of the input. An empty one is drawn.
func (a *app) password(name string) (password string, drawn bool, err error) {
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(a.err, "password for %s (empty: draw one): ", name)
		raw, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", false, err
		}
		password = string(raw)
	} else {
		in := bufio.NewScanner(a.in)
		if in.Scan() {
			password = strings.TrimSuffix(in.Text(), "\r")
		}
		if err := in.Err(); err != nil {
			return "", false, err
		}
	}
	if password == "" {
		return rand.Text(), true, nil
	}
	return password, false, labeling.CheckNewPassword(password)
}

func (a *app) labelLinkCommand() *cobra.Command {
	var name string
	cmd := a.withDB("link --db FILE --name NAME", "Print a link by which somebody signs in once, without a password", []string{"label"}, func(ctx context.Context, cmd *cobra.Command, db *storage.DB) error {
		c, err := a.settings(cmd.Flags())
		if err != nil {
			return err
		}
		link, err := newLink(ctx, db, name, c.Label.Base(c.Label.Addr))
		if err == nil {
			fmt.Fprintln(a.out, link)
		}
		return err
	})
	cmd.Flags().StringVar(&name, "name", "", "who signs in")
	return required(cmd, "name")
}

func (a *app) labelTokenCommand() *cobra.Command {
	var name, title string
	var days int
	var revoke int64
	cmd := a.withDB("token --db FILE (--name NAME [--title TEXT] | --revoke N)", "Print a token by which a program acts as somebody; without a title, list theirs", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		if revoke != 0 {
			return db.RevokeToken(ctx, revoke)
		}
		l, err := db.LabelerByName(ctx, name)
		if err != nil {
			return err
		}
		if title == "" {
			return a.listTokens(ctx, db, l.ID)
		}
		secret, hash := labeling.NewSecret()
		if _, err := db.CreateToken(ctx, l.ID, title, hash, time.Now().AddDate(0, 0, days)); err != nil {
			return err
		}
		fmt.Fprintln(a.out, secret)
		return nil
	})
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "whom the token stands for")
	f.StringVar(&title, "title", "", "what the token is for")
	f.IntVar(&days, "days", 90, "how long it is valid")
	f.Int64Var(&revoke, "revoke", 0, "number of a token to make worthless")
	cmd.MarkFlagsOneRequired("name", "revoke")
	cmd.MarkFlagsMutuallyExclusive("name", "revoke")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if days < 1 || days > 3650 {
			return fmt.Errorf("--days: found %d, expected 1 to 3650", days)
		}
		return nil
	}
	return cmd
}

func (a *app) listTokens(ctx context.Context, db *storage.DB, person int64) error {
	tokens, err := db.Tokens(ctx, person)
	if err != nil {
		return err
	}
	for _, t := range tokens {
		state := "until " + t.Expires.Local().Format(time.DateOnly)
		switch {
		case !t.RevokedAt.IsZero():
			state = "revoked"
		case t.Expires.Before(time.Now()):
			state = "expired"
		}
		used := "never used"
		if !t.UsedAt.IsZero() {
			used = "used " + t.UsedAt.Local().Format(time.DateTime)
		}
		fmt.Fprintf(a.out, "%d\t%s\t%s\t%s\n", t.ID, t.Name, state, used)
	}
	return nil
}

func (a *app) labelForgetCommand() *cobra.Command {
	var name string
	cmd := a.withDB("forget --db FILE --name NAME", "Delete somebody's personal data for good; their rankings stay under the pseudonym it prints", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		l, err := db.LabelerByName(ctx, name)
		if err != nil {
			return err
		}
		pseudonym, err := db.Forget(ctx, l.ID)
		if err == nil {
			fmt.Fprintln(a.out, pseudonym)
		}
		return err
	})
	cmd.Flags().StringVar(&name, "name", "", "whom to forget")
	return required(cmd, "name")
}

func (a *app) labelAuditCommand() *cobra.Command {
	var limit int
	var asJSON bool
	cmd := a.withDB("audit --db FILE", "Who changed what, latest first", nil, func(ctx context.Context, _ *cobra.Command, db *storage.DB) error {
		entries, _, err := db.Audit(ctx, 0, limit)
		if err != nil {
			return err
		}
		lines := json.NewEncoder(a.out)
		for _, e := range entries {
			if asJSON {
				line := map[string]any{"id": e.ID, "at": e.At.UTC(), "actor": e.Actor, "action": e.Action, "object": e.Object, "detail": e.Detail}
				if err := lines.Encode(line); err != nil {
					return err
				}
				continue
			}
			actor := e.Actor
			if actor == "" {
				actor = "(command line)"
			}
			fmt.Fprintf(a.out, "%s  %-16s %-16s %-12s %s\n", e.At.Local().Format(time.DateTime), actor, e.Action, e.Object, e.Detail)
		}
		return nil
	})
	cmd.Flags().IntVar(&limit, "limit", 100, "how many changes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON lines")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if limit < 1 {
			return fmt.Errorf("--limit: found %d, expected at least 1", limit)
		}
		return nil
	}
	return cmd
}
