package labeling

import "rlhf/storage"

// SettingsJSON are a project's settings in the API.
type SettingsJSON struct {
	Overlap          int                `json:"overlap" minimum:"1" maximum:"1000"`
	K                int                `json:"k" minimum:"0" maximum:"9"`
	Rate             bool               `json:"rate"`
	Questions        []storage.Question `json:"questions"`
	Confidence       bool               `json:"confidence"`
	MustOpen         bool               `json:"must_open"`
	CalibrationShare float64            `json:"calibration_share" minimum:"0" maximum:"0.5"`
	GoldShare        float64            `json:"gold_share" minimum:"0" maximum:"0.5"`
	RepeatShare      float64            `json:"repeat_share" minimum:"0" maximum:"0.5"`
	GoldThreshold    float64            `json:"gold_threshold" minimum:"0" maximum:"1"`
	GoldWindow       int                `json:"gold_window" minimum:"1" maximum:"1000"`
}
