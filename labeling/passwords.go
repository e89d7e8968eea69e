package labeling

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// Parameters of argon2id: OWASP's second recommendation (19 MiB, two passes), at one thread.
const (
	argonTime    = 2
	argonMemory  = 19 * 1024 // KiB
	argonThreads = 1
	argonLength  = 32
)

// Most that a stored hash may ask for; a greater one was not made here.
const (
	argonMostTime   = 64
	argonMostMemory = 1 << 20 // KiB
)

// HashPassword returns an argon2id hash with its salt and parameters, for storage.
func HashPassword(password string) string {
	var salt [16]byte
	rand.Read(salt[:]) // never fails
	return encodeHash(salt[:], argon2.IDKey([]byte(password), salt[:], argonTime, argonMemory, argonThreads, argonLength))
}

func encodeHash(salt, h []byte) string {
	b := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", argonMemory, argonTime, argonThreads, b.EncodeToString(salt), b.EncodeToString(h))
}

// CheckPassword reports whether password has the given hash.
func CheckPassword(hash, password string) bool {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != "v=19" {
		return false
	}
	var memory, passes uint32
	var threads uint8
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &memory, &passes, &threads); err != nil ||
		passes < 1 || passes > argonMostTime || threads < 1 || memory > argonMostMemory {
		return false
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	want, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err1 != nil || err2 != nil || len(want) == 0 {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, threads, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1
}

// Lengths of passwords in bytes.
const (
	minPassword = 8
	maxPassword = 1000
)

// CheckNewPassword returns an error unless a password may be chosen.
func CheckNewPassword(password string) error {
	if n := len(password); n < minPassword || n > maxPassword {
		return fmt.Errorf("the password has %d bytes, expected %d to %d", n, minPassword, maxPassword)
	}
	return nil
}

// CheckName returns the name to store for what somebody is to be called: letters in their composed form, as signing in
// looks for them. It returns an error for a name that is empty, too long, or would not look like what it is.
func CheckName(name string) (string, error) {
	name = norm.NFC.String(name)
	switch {
	case !utf8.ValidString(name):
		return "", fmt.Errorf("the name %q is not UTF-8", name)
	case name == "" || utf8.RuneCountInString(name) > 200:
		return "", fmt.Errorf("the name has %d characters, expected 1 to 200", utf8.RuneCountInString(name))
	case name != strings.TrimSpace(name):
		return "", fmt.Errorf("the name %q begins or ends with a space", name)
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", fmt.Errorf("the name %q holds characters that cannot be seen", name)
	}
	return name, nil
}

// hashing computes password hashes, a few at a time: each takes argonMemory.
type hashing struct {
	slots  chan struct{}
	nobody string                           // a hash that no password has, for names without one
	check  func(hash, password string) bool // CheckPassword, counted in tests
}

const (
	hashingSlots = 4
	hashingWait  = 10 * time.Second // for a slot
)

func newHashing() *hashing {
	var salt [16]byte
	var h [argonLength]byte
	rand.Read(salt[:])
	rand.Read(h[:])
	return &hashing{slots: make(chan struct{}, hashingSlots), nobody: encodeHash(salt[:], h[:]), check: CheckPassword}
}

// slot waits for a slot. The caller must call done if there is no error.
func (h *hashing) slot(ctx context.Context) (done func(), err error) {
	wait := time.NewTimer(hashingWait)
	defer wait.Stop()
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-wait.C:
		return nil, refusal{http.StatusServiceUnavailable, "busy", "Too many people are signing in. Try again in a moment.", ""}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// right reports whether a password has a hash. One without a hash takes as long.
func (h *hashing) right(ctx context.Context, hash, password string) (bool, error) {
	done, err := h.slot(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	if hash == "" {
		h.check(h.nobody, password)
		return false, nil
	}
	return h.check(hash, password), nil
}

// hash returns the hash of a password that somebody is given; "" stays "".
func (h *hashing) hash(ctx context.Context, password string) (string, error) {
	if password == "" {
		return "", nil
	}
	if err := CheckNewPassword(password); err != nil {
		return "", refusal{http.StatusUnprocessableEntity, "password", sentence(err), "password"}
	}
	done, err := h.slot(ctx)
	if err != nil {
		return "", err
	}
	defer done()
	return HashPassword(password), nil
}

// sentence is an error as a person reads it.
func sentence(err error) string {
	text := err.Error()
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:] + "."
}
