package storage

import (
	"encoding/json"
	"time"
)

// DefaultProject is the project that every database has.
const DefaultProject int64 = 1

// Kinds of tasks. Labelers cannot tell them apart, but for training ones.
const (
	KindNormal      = "normal"
	KindCalibration = "calibration" // ranked by everybody, and by the researcher
	KindGold        = "gold"        // has a right answer, by which labelers are measured
	KindHoneypot    = "honeypot"    // has an answer that nobody who reads gets wrong
	KindTraining    = "training"    // comes before the first real one, with feedback
	KindExample     = "example"     // stands beside the guidelines, and is given to nobody
	KindRepeat      = "repeat"      // a task once more, for whoever ranked it
)

// Project is a body of tasks with settings, guidelines and questions of its own.
type Project struct {
	ID          int64
	Name        string
	Description string
	Open        bool // its tasks are given out
	CreatedAt   time.Time
	Settings    Settings
}

// Settings are what the admin of a project chooses.
type Settings struct {
	Overlap          int        // rankings wanted of each new task
	K                int        // completions of each new task; 0: all that come
	Rate             bool       // each response is rated 1 to 7 before the ranking, as InstructGPT's labelers did
	Questions        []Question // yes or no, asked of each response
	Confidence       bool       // asked with each ranking
	MustOpen         bool       // each response must have been read through
	CalibrationShare float64    // of a labeler's tasks, 0 to 0.5
	GoldShare        float64    // gold tasks and honeypots
	RepeatShare      float64
	GoldThreshold    float64 // least share of right pairs over the window; below it a labeler is paused; 0: nobody is
	GoldWindow       int     // latest gold tasks and honeypots
}

// Question is asked of each response; the answer is yes or no.
type Question struct {
	Key  string            `json:"key"`
	Text map[string]string `json:"text"` // by language: en, zh
}

// Message is one turn of a conversation.
type Message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// Reference is the researcher's own answer to a task.
type Reference struct {
	Ranks     []int  // (K) of the task's completions in their order
	Note      string // why, in markdown
	Author    string // name; "" from the command line
	CreatedAt time.Time
}

// Guideline is one version of a project's instructions.
type Guideline struct {
	ID        int64
	Version   int // 1 is the first
	Text      string
	Author    string // name; "" from the command line
	CreatedAt time.Time
}

// messagesText is the column form of messages; nil is NULL.
func messagesText(messages []Message) (any, error) {
	if messages == nil {
		return nil, nil
	}
	raw, err := json.Marshal(messages)
	return string(raw), err
}
