package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
)

// Forget deletes a person's personal data for good and returns the pseudonym under which their rankings stay: name,
// password, sessions, links, tokens, drafts, and whatever they wrote beside a ranking, a skip or a decision. The audit log
// keeps what they did under the pseudonym. Text they wrote for a project (guidelines, notes on reference answers) stays,
// without their name. Once it returns, the file holds none of the deleted content, unless a reader was busy: then the
// write-ahead log holds it until the next checkpoint.
//
// It returns ErrNotFound if there is no such person and ErrLastAdmin if nobody else may do everything. Forgetting twice
// changes nothing.
func (db *DB) Forget(ctx context.Context, id int64) (pseudonym string, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE l.id = ?`, id), fmt.Sprint(id))
		if err != nil {
			return err
		}
		pseudonym = l.Pseudonym
		var already bool
		if err := tx.QueryRowContext(ctx, `SELECT forgotten_at IS NOT NULL FROM labelers WHERE id = ?`, id).Scan(&already); err != nil || already {
			return err
		}
		if err := notLastAdmin(ctx, tx, id); err != nil {
			return err
		}
		if pseudonym == l.Name { // an imported file's name for them
			if pseudonym, err = newPseudonym(ctx, tx); err != nil {
				return err
			}
		}
		if err := forget(ctx, tx, l, pseudonym, db.millis()); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.forget", personObject(id), map[string]any{"pseudonym": pseudonym})
	})
	if err != nil {
		return "", err
	}
	db.writing.Lock() // which a checkpoint that empties the log needs
	defer db.writing.Unlock()
	var busy, frames, moved int
	return pseudonym, db.w.QueryRowContext(ctx, `PRAGMA wal_checkpoint(TRUNCATE)`).Scan(&busy, &frames, &moved)
}

// forget deletes what Forget promises.
func forget(ctx context.Context, tx *sql.Tx, l Labeler, pseudonym string, now int64) error {
	quoted, err := json.Marshal(l.Name)
	if err != nil {
		return err
	}
	instead, err := json.Marshal(pseudonym)
	if err != nil {
		return err
	}
	for _, q := range []string{
		`UPDATE labelers SET name = :pseudonym, pseudonym = :pseudonym, password_hash = '', disabled = 1, last_seen_at = NULL, forgotten_at = :now WHERE id = :id`,
		`DELETE FROM sessions WHERE labeler_id = :id`,
		`DELETE FROM sign_in_links WHERE labeler_id = :id`,
		`DELETE FROM api_tokens WHERE labeler_id = :id`,
		`DELETE FROM drafts WHERE assignment_id IN (SELECT id FROM assignments WHERE labeler_id = :id)`,
		`UPDATE skips SET comment = '' WHERE labeler_id = :id AND comment <> ''`,
		`UPDATE decisions SET note = '' WHERE reviewer_id = :id AND note <> ''`,
		`UPDATE rankings SET comment = '' WHERE labeler_id = :id AND comment <> ''`,
		`UPDATE ranking_items SET note = '' WHERE note <> '' AND ranking_id IN (SELECT id FROM rankings WHERE labeler_id = :id)`,
		`UPDATE rankings SET meta = replace(meta, :quoted, :instead) WHERE labeler_id = :id AND instr(meta, :quoted) > 0`,
		`UPDATE audit SET actor = :pseudonym WHERE actor_id = :id`,
		`UPDATE audit SET detail = replace(detail, :quoted, :instead) WHERE instr(detail, :quoted) > 0`,
		`UPDATE audit SET object = :pseudonym WHERE object = :name`,
		`UPDATE audit SET object = substr(object, 1, length(object) - length(:name)) || :pseudonym WHERE substr(object, -length(:name) - 1) = ' ' || :name`,
	} {
		var arguments []any
		for name, value := range map[string]any{"id": l.ID, "now": now, "name": l.Name, "pseudonym": pseudonym, "quoted": string(quoted), "instead": string(instead)} {
			if strings.Contains(q, ":"+name) {
				arguments = append(arguments, sql.Named(name, value))
			}
		}
		if _, err := tx.ExecContext(ctx, q, arguments...); err != nil {
			return fmt.Errorf("forget %s: %w", personObject(l.ID), err)
		}
	}
	return nil
}
