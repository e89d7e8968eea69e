package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Roles of labelers.
const (
	RoleLabeler  = "labeler"
	RoleReviewer = "reviewer" // may also see all rankings of a task and decide
	RoleAdmin    = "admin"    // may do everything
)

// Labeler is a person who ranks.
type Labeler struct {
	ID           int64
	Name         string
	Role         string
	PasswordHash string // "" cannot sign in with a password
	Disabled     bool
	Pseudonym    string // what exports call them
}

// CreateLabeler adds a labeler. It returns ErrExists if the name is taken, or is another's pseudonym.
func (db *DB) CreateLabeler(ctx context.Context, name, role, passwordHash string) (Labeler, error) {
	l := Labeler{Name: name, Role: role, PasswordHash: passwordHash}
	err := db.write(ctx, func(tx *sql.Tx) error {
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM labelers WHERE pseudonym = ?)`, name).Scan(&taken); err != nil {
			return err
		}
		if taken {
			return fmt.Errorf("labeler %q: %w", name, ErrExists)
		}
		pseudonym, err := newPseudonym(ctx, tx)
		if err != nil {
			return err
		}
		if l, err = insertLabeler(ctx, tx, l, pseudonym, db.millis()); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.create", personObject(l.ID), map[string]any{"name": name, "role": role, "password": passwordHash != ""})
	})
	return l, err
}

// newPseudonym returns "labeler-N" for the least N after the last labeler's that is nobody's name or pseudonym.
func newPseudonym(ctx context.Context, tx *sql.Tx) (string, error) {
	var n int64
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(id), 0) FROM labelers`).Scan(&n); err != nil {
		return "", err
	}
	for {
		n++
		p := fmt.Sprintf("labeler-%d", n)
		var taken bool
		if err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM labelers WHERE name = ?1 OR pseudonym = ?1)`, p).Scan(&taken); err != nil || !taken {
			return p, err
		}
	}
}

func insertLabeler(ctx context.Context, tx *sql.Tx, l Labeler, pseudonym string, at int64) (Labeler, error) {
	r, err := tx.ExecContext(ctx, `INSERT INTO labelers (name, role, password_hash, created_at, pseudonym) VALUES (?, ?, ?, ?, ?)`, l.Name, l.Role, l.PasswordHash, at, pseudonym)
	if isUnique(err) {
		return l, fmt.Errorf("labeler %q: %w", l.Name, ErrExists)
	}
	if err != nil {
		return l, fmt.Errorf("labeler %q: %w", l.Name, err)
	}
	l.Pseudonym = pseudonym
	l.ID, err = r.LastInsertId()
	return l, err
}

// SetPassword replaces a labeler's password and ends their sessions. It returns ErrNotFound if there is no such labeler.
func (db *DB) SetPassword(ctx context.Context, name, passwordHash string) error {
	l, err := db.LabelerByName(ctx, name)
	if err != nil {
		return err
	}
	_, err = db.ChangePerson(ctx, l.ID, PersonChange{PasswordHash: &passwordHash})
	return err
}

const labelerQuery = `SELECT l.id, l.name, l.role, l.password_hash, l.disabled, l.pseudonym FROM labelers l`

func labeler(row *sql.Row, what string) (Labeler, error) {
	var l Labeler
	err := row.Scan(&l.ID, &l.Name, &l.Role, &l.PasswordHash, &l.Disabled, &l.Pseudonym)
	if errors.Is(err, sql.ErrNoRows) {
		return l, fmt.Errorf("labeler %q: %w", what, ErrNotFound)
	}
	return l, err
}

// LabelerByName returns ErrNotFound if there is no such labeler.
func (db *DB) LabelerByName(ctx context.Context, name string) (Labeler, error) {
	return labeler(db.r.QueryRowContext(ctx, labelerQuery+` WHERE name = ?`, name), name)
}

// CreateSession lets the holder of the token with this hash act as a labeler until expires. It returns ErrNotFound if the
// labeler has been disabled, or has another password, since they were read: what they signed in with is worth nothing.
func (db *DB) CreateSession(ctx context.Context, tokenHash []byte, l Labeler, expires time.Time) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		var same bool
		err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM labelers WHERE id = ? AND password_hash = ? AND disabled = 0)`, l.ID, l.PasswordHash).Scan(&same)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("labeler %d: %w", l.ID, ErrNotFound)
		}
		return db.createSession(ctx, tx, tokenHash, l.ID, expires)
	})
}

func (db *DB) createSession(ctx context.Context, tx *sql.Tx, tokenHash []byte, labelerID int64, expires time.Time) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE expires_at <= ?`, db.millis()); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO sessions (token_hash, labeler_id, expires_at) VALUES (?, ?, ?)`, tokenHash, labelerID, expires.UnixMilli())
	return err
}

// SessionLabeler returns the labeler of a live session, or ErrNotFound.
func (db *DB) SessionLabeler(ctx context.Context, tokenHash []byte) (Labeler, error) {
	return db.seen(ctx, "of the session", `SELECT l.id, l.name, l.role, l.password_hash, l.disabled, l.pseudonym, coalesce(l.last_seen_at, 0), 0, 0
		FROM sessions s JOIN labelers l ON l.id = s.labeler_id WHERE s.token_hash = ? AND s.expires_at > ? AND l.disabled = 0`, tokenHash)
}

// seenStep is how exactly it is known when somebody was last seen: most requests then write nothing.
const seenStep = time.Minute

// seen returns the labeler to whom a credential leads, and notes that they and the credential were used. The query takes
// the credential's hash and the time.
func (db *DB) seen(ctx context.Context, what, query string, hash []byte) (l Labeler, err error) {
	now := db.millis()
	var last, token, used int64
	err = db.reads.QueryRowContext(ctx, query, hash, now).Scan(&l.ID, &l.Name, &l.Role, &l.PasswordHash, &l.Disabled, &l.Pseudonym, &last, &token, &used)
	if errors.Is(err, sql.ErrNoRows) {
		return Labeler{}, fmt.Errorf("labeler %s: %w", what, ErrNotFound)
	}
	stale := now - seenStep.Milliseconds()
	if err != nil || last > stale && (token == 0 || used > stale) {
		return l, err
	}
	return l, db.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE labelers SET last_seen_at = ? WHERE id = ? AND forgotten_at IS NULL`, now, l.ID); err != nil || token == 0 {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE api_tokens SET used_at = ? WHERE id = ?`, now, token)
		return err
	})
}

// DeleteSession ends a session.
func (db *DB) DeleteSession(ctx context.Context, tokenHash []byte) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE token_hash = ?`, tokenHash)
		return err
	})
}
