package storage

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrLastAdmin is returned when a change would leave nobody who may do everything.
	ErrLastAdmin = errors.New("this is the last admin")
	// ErrDisabled is returned when somebody is to be given a way to sign in, or to be changed, who has been disabled or forgotten.
	ErrDisabled = errors.New("disabled")
)

// Person is a labeler with what an admin sees of them.
type Person struct {
	Labeler
	CreatedAt time.Time
	LastSeen  time.Time // to a minute; zero: never
	Rankings  int       // that hold
	Paused    []string  // projects in which they are given nothing for now
	Forgotten bool      // their personal data was deleted
}

// PersonChange is what is to be changed of a person; nil stays as it is.
type PersonChange struct {
	Role         *string
	Disabled     *bool
	PasswordHash *string
}

// Token is what is known of an API token. The token itself is not.
type Token struct {
	ID        int64
	Name      string
	CreatedAt time.Time
	Expires   time.Time
	UsedAt    time.Time // to a minute; zero: never
	RevokedAt time.Time // zero: never
}

// personObject names a person in the audit log, and says nothing about who they are.
func personObject(id int64) string { return fmt.Sprintf("person %d", id) }

const personQuery = `SELECT l.id, l.name, l.role, l.password_hash, l.disabled, l.pseudonym, l.created_at, coalesce(l.last_seen_at, 0), l.forgotten_at IS NOT NULL,
	(SELECT count(*) FROM rankings r WHERE r.labeler_id = l.id AND r.sealed = 1 AND r.replaced = 0),
	(SELECT json_group_array(p.name ORDER BY p.id) FROM pauses x JOIN projects p ON p.id = x.project_id WHERE x.labeler_id = l.id AND x.resumed_at IS NULL) FROM labelers l`

// People returns everybody, by id.
func (db *DB) People(ctx context.Context) (people []Person, err error) {
	rows, err := db.r.QueryContext(ctx, personQuery+` ORDER BY l.id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		p, err := person(rows)
		if err != nil {
			return nil, err
		}
		people = append(people, p)
	}
	return people, rows.Err()
}

// Person returns one of the People, or ErrNotFound.
func (db *DB) Person(ctx context.Context, id int64) (Person, error) {
	p, err := person(db.r.QueryRowContext(ctx, personQuery+` WHERE l.id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return p, fmt.Errorf("person %d: %w", id, ErrNotFound)
	}
	return p, err
}

func person(row interface{ Scan(...any) error }) (p Person, err error) {
	var created, seen int64
	var paused []byte
	if err := row.Scan(&p.ID, &p.Name, &p.Role, &p.PasswordHash, &p.Disabled, &p.Pseudonym, &created, &seen, &p.Forgotten, &p.Rankings, &paused); err != nil {
		return p, err
	}
	p.CreatedAt, p.LastSeen = time.UnixMilli(created).UTC(), moment(seen)
	return p, json.Unmarshal(paused, &p.Paused)
}

// moment is the time of a column that is 0 for never.
func moment(millis int64) time.Time {
	if millis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// ChangePerson changes a person and ends their sessions if anything changes. It returns ErrNotFound if there is no such
// person, ErrDisabled if they have been forgotten, and ErrLastAdmin if nobody else may do everything.
func (db *DB) ChangePerson(ctx context.Context, id int64, c PersonChange) (Person, error) {
	err := db.write(ctx, func(tx *sql.Tx) error {
		l, err := livePerson(ctx, tx, id)
		if err != nil {
			return err
		}
		changed := map[string]any{}
		if c.Role != nil && *c.Role != l.Role {
			changed["role"], l.Role = *c.Role, *c.Role
		}
		if c.Disabled != nil && *c.Disabled != l.Disabled {
			changed["disabled"], l.Disabled = *c.Disabled, *c.Disabled
		}
		if c.PasswordHash != nil {
			changed["password"], l.PasswordHash = *c.PasswordHash != "", *c.PasswordHash
		}
		if len(changed) == 0 {
			return nil
		}
		if l.Role != RoleAdmin || l.Disabled {
			if err := notLastAdmin(ctx, tx, id); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, `UPDATE labelers SET role = ?, disabled = ?, password_hash = ? WHERE id = ?`, l.Role, l.Disabled, l.PasswordHash, id); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, id); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.change", personObject(id), changed)
	})
	if err != nil {
		return Person{}, err
	}
	return db.Person(ctx, id)
}

// livePerson returns a person who has not been forgotten.
func livePerson(ctx context.Context, tx *sql.Tx, id int64) (Labeler, error) {
	l, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE l.id = ?`, id), fmt.Sprint(id))
	if err != nil {
		return l, err
	}
	var forgotten bool
	if err := tx.QueryRowContext(ctx, `SELECT forgotten_at IS NOT NULL FROM labelers WHERE id = ?`, id).Scan(&forgotten); err != nil {
		return l, err
	}
	if forgotten {
		return l, fmt.Errorf("%s: %w", personObject(id), ErrDisabled)
	}
	return l, nil
}

// notLastAdmin returns ErrLastAdmin if this person may do everything and nobody else may.
func notLastAdmin(ctx context.Context, tx *sql.Tx, id int64) error {
	var last bool
	err := tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM labelers WHERE id = ?1 AND role = 'admin' AND disabled = 0)
		AND NOT EXISTS (SELECT 1 FROM labelers WHERE id <> ?1 AND role = 'admin' AND disabled = 0)`, id).Scan(&last)
	if err == nil && last {
		err = fmt.Errorf("%s: %w", personObject(id), ErrLastAdmin)
	}
	return err
}

// endSessions ends a person's sessions and makes the links they have not used worthless.
func endSessions(ctx context.Context, tx *sql.Tx, id int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM sessions WHERE labeler_id = ?`, id); err != nil {
		return err
	}
	_, err := tx.ExecContext(ctx, `DELETE FROM sign_in_links WHERE labeler_id = ?`, id)
	return err
}

// EndSessions ends a person's sessions, wherever they are, and the links they have not used. Tokens stay. It returns
// ErrNotFound if there is no such person.
func (db *DB) EndSessions(ctx context.Context, id int64) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		if _, err := labeler(tx.QueryRowContext(ctx, labelerQuery+` WHERE l.id = ?`, id), fmt.Sprint(id)); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, id); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.sign_out", personObject(id), nil)
	})
}

// CreateLink lets the holder of the token with this hash begin one session as a person until expires. It returns
// ErrNotFound if there is no such person and ErrDisabled if they may not sign in.
func (db *DB) CreateLink(ctx context.Context, id int64, tokenHash []byte, expires time.Time) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		if err := maySignIn(ctx, tx, id); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM sign_in_links WHERE expires_at <= ?`, db.millis()); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO sign_in_links (token_hash, labeler_id, created_at, expires_at) VALUES (?, ?, ?, ?)`,
			tokenHash, id, db.millis(), expires.UnixMilli()); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "person.link", personObject(id), map[string]any{"expires_at": expires.UTC().Format(time.RFC3339)})
	})
}

// maySignIn returns ErrDisabled for somebody who has been disabled or forgotten.
func maySignIn(ctx context.Context, tx *sql.Tx, id int64) error {
	l, err := livePerson(ctx, tx, id)
	if err == nil && l.Disabled {
		err = fmt.Errorf("%s: %w", personObject(id), ErrDisabled)
	}
	return err
}

// RedeemLink uses up a link and begins a session in its place. It returns ErrNotFound for a link that was never made, has
// been used, has expired, or is of somebody who may not sign in.
func (db *DB) RedeemLink(ctx context.Context, tokenHash, sessionHash []byte, expires time.Time) (l Labeler, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		l, err = labeler(tx.QueryRowContext(ctx, labelerQuery+` JOIN sign_in_links s ON s.labeler_id = l.id
			WHERE s.token_hash = ? AND s.used_at IS NULL AND s.expires_at > ? AND l.disabled = 0`, tokenHash, db.millis()), "of the link")
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE sign_in_links SET used_at = ? WHERE token_hash = ?`, db.millis(), tokenHash); err != nil {
			return err
		}
		return db.createSession(ctx, tx, sessionHash, l.ID, expires)
	})
	return l, err
}

// CreateToken lets programs with the token of this hash act as a person until expires. It returns ErrNotFound if there is
// no such person and ErrDisabled if they may not sign in.
func (db *DB) CreateToken(ctx context.Context, person int64, name string, tokenHash []byte, expires time.Time) (id int64, err error) {
	err = db.write(ctx, func(tx *sql.Tx) error {
		if err := maySignIn(ctx, tx, person); err != nil {
			return err
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO api_tokens (token_hash, labeler_id, name, created_at, expires_at) VALUES (?, ?, ?, ?, ?)`,
			tokenHash, person, name, db.millis(), expires.UnixMilli())
		if err != nil {
			return err
		}
		if id, err = r.LastInsertId(); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "token.create", fmt.Sprintf("token %d", id),
			map[string]any{"person": person, "expires_at": expires.UTC().Format(time.RFC3339)})
	})
	return id, err
}

// Tokens returns a person's tokens, those revoked and expired too. It returns ErrNotFound if there is no such person.
func (db *DB) Tokens(ctx context.Context, person int64) (tokens []Token, err error) {
	if _, err := db.Person(ctx, person); err != nil {
		return nil, err
	}
	rows, err := db.r.QueryContext(ctx, `SELECT id, name, created_at, expires_at, coalesce(used_at, 0), coalesce(revoked_at, 0) FROM api_tokens WHERE labeler_id = ? ORDER BY id`, person)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var t Token
		var created, expires, used, revoked int64
		if err := rows.Scan(&t.ID, &t.Name, &created, &expires, &used, &revoked); err != nil {
			return nil, err
		}
		t.CreatedAt, t.Expires, t.UsedAt, t.RevokedAt = time.UnixMilli(created).UTC(), time.UnixMilli(expires).UTC(), moment(used), moment(revoked)
		tokens = append(tokens, t)
	}
	return tokens, rows.Err()
}

// RevokeToken makes a token worthless at once. It returns ErrNotFound if there is no such token; one revoked before stays so.
func (db *DB) RevokeToken(ctx context.Context, id int64) error {
	return db.write(ctx, func(tx *sql.Tx) error {
		var revoked bool
		err := tx.QueryRowContext(ctx, `SELECT revoked_at IS NOT NULL FROM api_tokens WHERE id = ?`, id).Scan(&revoked)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("token %d: %w", id, ErrNotFound)
		}
		if err != nil || revoked {
			return err
		}
		if _, err := tx.ExecContext(ctx, `UPDATE api_tokens SET revoked_at = ? WHERE id = ?`, db.millis(), id); err != nil {
			return err
		}
		return db.audit(ctx, tx, ActorOf(ctx).ID, "token.revoke", fmt.Sprintf("token %d", id), nil)
	})
}

// TokenLabeler returns whom a live token stands for, or ErrNotFound.
func (db *DB) TokenLabeler(ctx context.Context, tokenHash []byte) (Labeler, error) {
	return db.seen(ctx, "of the token", `SELECT l.id, l.name, l.role, l.password_hash, l.disabled, l.pseudonym, coalesce(l.last_seen_at, 0), t.id, coalesce(t.used_at, 0)
		FROM api_tokens t JOIN labelers l ON l.id = t.labeler_id WHERE t.token_hash = ? AND t.expires_at > ? AND t.revoked_at IS NULL AND l.disabled = 0`, tokenHash)
}
