package storage

import (
	"context"
	"time"
)

// Lease is Next with only what many tests need.
func (db *DB) Lease(ctx context.Context, labelerID int64, ttl time.Duration, draw Draw) (Assignment, error) {
	return db.Next(ctx, Ask{LabelerID: labelerID, TTL: ttl, Draw: draw})
}
