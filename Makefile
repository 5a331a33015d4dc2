# make run    the whole system on this machine, on embedded servers
# make test   every test, with the real servers the machine has or can get
# make bench  the figures, as ratios measured in one run; BENCH_JSON=file writes them too

GO       ?= go
LDFLAGS  := -s -w
BIN      := bin/keyferry
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

.PHONY: run build test fuzz bench lint clean

run: build
	$(BIN) dev

# -buildvcs=false: git refuses to speak about another user's checkout, and the build would fail with it; VERSION says enough.
build:
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags "$(LDFLAGS) -X github.com/keyferry/keyferry/cli.version=$(VERSION)" -o $(BIN) .

test: build
	$(GO) vet ./...
	$(GO) run ./test/servers -- $(GO) test -race -shuffle=on -count=1 ./...
	$(MAKE) fuzz

# Every parser of foreign bytes, a few seconds each; longer with FUZZTIME=1m.
FUZZTIME ?= 3s
fuzz:
	@$(GO) run ./test/fuzz -fuzztime $(FUZZTIME)

bench: build
	$(GO) run ./test/servers -- $(GO) run ./test/bench -binary $(BIN) -json "$(BENCH_JSON)"

lint:
	golangci-lint run

clean:
	rm -rf bin .cache
