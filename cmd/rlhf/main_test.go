package main

import (
	"fmt"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"rlhf/internal/kernel"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rlhf": main,
	})
}

// TestScripts runs testdata/script: the program as its users call it. A leading ! means that the command must fail;
// the exit code itself is checked by "exits".
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "waits": waits, "flipbit": flipBit, "damage": damage, "reviews": reviewFiles, "peermodel": peerModel,
			"killed": killed, "samerun": sameRun, "bytes": writeBytes},
		Condition: condition,
	})
}

// condition makes [vector] true where the best instruction set is not the portable one, which every machine has.
func condition(name string) (bool, error) {
	if name != "vector" {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	return kernel.Name() != "portable", nil
}
