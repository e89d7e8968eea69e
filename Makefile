# make demo: the whole loop on the embedded data, ending in runs/demo/report.html
# make test: formatting, vet, staticcheck and all tests

STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build demo test bench

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
	go test -run '^$$' -bench . -benchtime 2s ./bench
