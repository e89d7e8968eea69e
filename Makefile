# make demo: the whole loop on the embedded data, ending in runs/demo/report.html
# make test: formatting, vet, staticcheck and all tests
# make bench: our speed, and its share of what the machine's arithmetic can do

PEERS = .venv-peers
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build demo test bench bench-peers bench-growth bench-labeling

build:
	go build -o bin/rlhf ./cmd/rlhf

demo: build
	bin/rlhf demo $(ARGS)

test:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt would change: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...
	go test -race ./...

bench:
	go test -run '^$$' -bench . -benchtime 2s -timeout 60m -short ./bench

# beside PyTorch, transformers and TRL, which it installs; ARGS="-only train" for some of it
bench-peers:
	test -x $(PEERS)/bin/python || python3 -m venv $(PEERS)
	$(PEERS)/bin/pip install -q -r bench/requirements.txt
	go build -o bin/peers ./bench/peers
	bin/peers -python $(PEERS)/bin/python $(ARGS)

# how cost grows with width, depth, length, batch and threads, into bench/RESULTS.md
bench-growth:
	go build -o bin/growth ./bench/growth
	bin/growth $(ARGS)

# the labeling server under 50 labelers; ARGS="-tasks 1000000 -rankings 30000", ARGS="-kills 20"
bench-labeling:
	go build -o bin/labelers ./bench/labelers
	bin/labelers $(ARGS)
