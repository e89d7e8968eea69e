// Package bench holds the benchmarks of the engine, for make bench. Figures are
// tokens a second and, from six operations a parameter and token (two for
// sampling), achieved GF/s. Peers are measured by peers.py beside it, on the same
// shapes. It is not part of the program.
package bench
