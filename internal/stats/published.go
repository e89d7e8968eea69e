package stats

// Published is an agreement among people that a paper reports, to set one's own beside.
type Published struct {
	Who   string
	Value float64
	Error float64 // as printed after the plus-minus sign
}

// PublishedAgreement returns the raw agreement among labelers that InstructGPT reports (arXiv:2203.02155 section 3.4), with the
// one it quotes from Stiennon 2020.
func PublishedAgreement() []Published {
	return []Published{
		{"InstructGPT, training labelers", 0.726, 0.015},
		{"InstructGPT, held-out labelers", 0.773, 0.013},
		{"Stiennon 2020, researchers with one another", 0.73, 0.04},
	}
}
