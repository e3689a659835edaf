# make help lists the targets. CI runs the same ones as people do.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO         ?= go
BIN        := bin
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
PACKAGES   ?= ./...
# Everything is built static, as the image is, and so each package once for all of it; only the race detector needs cgo.
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(filter-out -trimpath,$(shell $(GO) env GOFLAGS 2>/dev/null)) -trimpath)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/rollcall
	@testing/with-progress.sh "building $(BIN)/rollcall (the first time 1 to 3 minutes)" \
		$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/rollcall ./cmd/rollcall

# A make target of its own, so that the 2 minutes are spent once.
$(BIN)/livekit-server: testing/livekitserver/go.mod testing/livekitserver/go.sum
	@mkdir -p $(BIN)
	@testing/with-progress.sh "building a real livekit-server from its Go module (once; 2 to 4 minutes with empty caches)" \
		$(GO) build -C testing/livekitserver -ldflags "-s -w" -o $(CURDIR)/$@ github.com/livekit/livekit-server/cmd/server

.PHONY: livekit
livekit: $(BIN)/livekit-server ## Build bin/livekit-server, the real one, for dev and tests

.PHONY: dev
dev: ## Run rollcall with a real LiveKit, an embedded Redis and participants who come and go
	@if [ -z "$${LIVEKIT_HOST:-}" ]; then $(MAKE) --no-print-directory livekit; fi
	@$(MAKE) --no-print-directory build
	@exec $(BIN)/rollcall dev --livekit-server $(BIN)/livekit-server $(ARGS)

.PHONY: cluster
cluster: livekit build ## Run three nodes with a real Redis, a real LiveKit and participants who come and go
	@testing/install-deps.sh redis-server
	@$(GO) build -o $(BIN)/localcluster ./testing/localcluster
	@LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server exec $(BIN)/localcluster --rollcall $(BIN)/rollcall $(ARGS)

.PHONY: deps
deps: ## Install what the tests need (redis-server, chromium, shells, python3-redis)
	@testing/install-deps.sh

.PHONY: test
test: deps livekit ## Run unit, property and end-to-end tests with the race detector
	@# Containers come with networks, and a browser drops what is under way when the machine's networks change: one after the other.
	@all=$$($(GO) list $(PACKAGES)); containers=$$(grep '/testing/compose$$' <<<"$$all" || true); others=$$(grep -v '/testing/compose$$' <<<"$$all" || true); \
	export LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server CGO_ENABLED=1; \
	if [ -n "$$others" ]; then $(GO) test -race -timeout 20m $$others; fi; \
	if [ -n "$$containers" ]; then $(GO) test -race -timeout 20m $$containers; fi

# What make chaos hands on to testing/chaos, whose README tells of it.
CHAOS_ENV = CHAOS_NEMESIS="$(NEMESIS)" CHAOS_SEED="$(SEED)" CHAOS_DURATION="$(DURATION)" CHAOS_HOLD="$(HOLD)" CHAOS_NODES="$(NODES)" \
	CHAOS_ROOMS="$(ROOMS)" CHAOS_RATE="$(RATE)" CHAOS_REPORTS="$(or $(REPORTS),$(CURDIR)/$(BIN)/chaos)" \
	LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server

.PHONY: chaos
chaos: deps livekit ## Break a cluster of containers on purpose (NEMESIS=… SEED=… DURATION=…; see testing/chaos)
	@CHAOS=1 $(CHAOS_ENV) $(GO) test ./testing/chaos -count=1 -v -timeout 0 -run "^(TestChaos|TestSentinel|TestRealLiveKit|TestWithoutTheFence)$$"
	@echo "reports: $(or $(REPORTS),$(BIN)/chaos)"

.PHONY: smoke
smoke: deps livekit ## A few minutes of make chaos, as CI runs it; says what is missing where there is no engine
	@CHAOS_SMOKE=1 $(CHAOS_ENV) $(GO) test ./testing/chaos -count=1 -v -timeout 0 -run "^TestSmoke$$"

# Seeds that no run has had before, unless SEED, FIRST or SEEDS says which.
.PHONY: sim
sim: ## Simulate fresh seeds on all cores (TIME=3m for each simulation, or SEEDS=…; SEED=… runs one again)
	@$(if $(SEED),,ROLLCALL_SIM_FIRST=$(or $(FIRST),$(shell date +%s)) ROLLCALL_SIM_SEEDS="$(SEEDS)" ROLLCALL_SIM_TIME="$(or $(TIME),$(if $(SEEDS),,3m))") \
		$(GO) test ./testing/sim -count=1 -v -timeout 0 -run "^(TestSimulation|TestClusterSimulation)$$" $(if $(SEED),-sim.seed $(SEED)) | grep -v "^ *=== "

.PHONY: mutants
mutants: deps livekit ## Try the tests: every small wrong change of testing/mutants must make one fail (MUTANT=regular expression)
	@MUTANTS=1 MUTANT="$(MUTANT)" LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server $(GO) test ./testing/mutants -count=1 -v -timeout 0 -run "^TestMutants$$"

.PHONY: lint
lint: ## Check formatting, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make format':"; echo "$$unformatted"; exit 1; fi
	@$(GO) vet ./...
	@$(GO) run $(STATICCHECK) ./...

.PHONY: format
format: ## Format the Go files
	@gofmt -w $$(git ls-files '*.go')

.PHONY: bench
bench: deps livekit ## Run the benchmarks
	@LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server $(GO) test -run "^$$" -bench . -benchmem ./testing/bench ./reconcile

.PHONY: docs
docs: ## Write docs/configuration.md from the flags
	@$(GO) run ./cmd/rollcall gen-docs > docs/configuration.md

.PHONY: pictures
pictures: deps ## Write docs/page.png and docs/page-dark.png, of the page as it is
	@SCREENSHOTS=$(CURDIR)/docs $(GO) test ./testing/browser -count=1 -run '^TestPicturesOfTheReadme$$'

.PHONY: proto
proto: ## Write internal/wire/rollcall.pb.go from rollcall.proto (needs protoc: apt install protobuf-compiler)
	@command -v protoc >/dev/null || { echo "protoc is missing: apt install protobuf-compiler"; exit 1; }
	@GOBIN=$(CURDIR)/$(BIN) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@$$($(GO) list -m -f '{{.Version}}' google.golang.org/protobuf)
	@protoc --plugin=$(BIN)/protoc-gen-go --go_out=. --go_opt=module=github.com/rollcallhq/rollcall internal/wire/rollcall.proto

.PHONY: check
check: lint test smoke ## What CI runs
