# make help lists the targets. CI runs the same targets as people do.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

GO         ?= go
BIN        := bin
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
PACKAGES   ?= ./...
# Everything is built static, like the image, so each package is compiled only once. Only the race detector needs cgo.
# Without information for debuggers, which a released binary does not have either, compiling takes a tenth less time.
BUILD_FLAGS        := -trimpath -gcflags=all=-dwarf=false
export CGO_ENABLED := 0
export GOFLAGS     := $(strip $(filter-out $(BUILD_FLAGS),$(shell $(GO) env GOFLAGS 2>/dev/null)) $(BUILD_FLAGS))

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/rollcall
	@testing/with-progress.sh "building $(BIN)/rollcall (the first time 1 to 3 minutes)" \
		$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(BIN)/rollcall ./cmd/rollcall

# Every time stamp is that of the commit, so two builds of one commit are identical. Without git, give VERSION, REVISION and SOURCE_DATE_EPOCH.
.PHONY: release
release: ## Build a release in bin/release: archives, deb and rpm packages, images, bills of materials, checksums (VERSION=v1.2.3)
	@SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct)} \
		$(GO) run -C deploy/release . -version "$(VERSION)" -revision "$${REVISION-$$(git rev-parse HEAD)}" -out "$(abspath $(BIN))/release"

# A separate make target, so that the build of 2 minutes happens only once.
# A module that both go.mod files require has the same version in both where it can, so that it is compiled once for both.
$(BIN)/livekit-server: testing/livekitserver/go.mod testing/livekitserver/go.sum
	@mkdir -p $(BIN)
	@testing/with-progress.sh "building a real livekit-server from its Go module (once; 2 to 4 minutes with empty caches)" \
		$(GO) build -C testing/livekitserver -ldflags "-s -w" -o $(CURDIR)/$@ github.com/livekit/livekit-server/cmd/server

.PHONY: livekit
livekit: $(BIN)/livekit-server ## Build a real bin/livekit-server, for dev and tests
	@: # otherwise make says that there is nothing to be done

.PHONY: dev
dev: ## Run rollcall with a real LiveKit, an embedded Redis and participants who come and go
	@if [ -z "$${LIVEKIT_HOST:-}" ]; then $(MAKE) --no-print-directory livekit; fi
	@$(MAKE) --no-print-directory build
	@exec $(BIN)/rollcall dev --livekit-server $(BIN)/livekit-server $(ARGS)

.PHONY: cluster
cluster: livekit build ## Run three nodes with a real Redis, a real LiveKit and participants who come and go
	@RACE=0 testing/install-deps.sh ./testing/localcluster
	@$(GO) build -o $(BIN)/localcluster ./testing/localcluster
	@LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server exec $(BIN)/localcluster --rollcall $(BIN)/rollcall $(ARGS)

.PHONY: deps
deps: ## Install what the tests of PACKAGES need, by default all (gcc, redis-server, chromium, shells, python3-redis, a livekit-server)
	@testing/install-deps.sh $(PACKAGES)
	@if $(GO) list -test -deps $(PACKAGES) | grep /testing/harness/livekittest$$ >/dev/null; then $(MAKE) --no-print-directory livekit; fi

.PHONY: test
test: deps ## Run unit, property and end-to-end tests (PACKAGES=./reconcile/... selects packages, and installs only what they need)
	@LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server testing/run-tests.sh $(PACKAGES)

# The variables that make chaos passes to testing/chaos, whose README describes them.
CHAOS_ENV = CHAOS_NEMESIS="$(NEMESIS)" CHAOS_SEED="$(SEED)" CHAOS_DURATION="$(DURATION)" CHAOS_HOLD="$(HOLD)" CHAOS_NODES="$(NODES)" \
	CHAOS_ROOMS="$(ROOMS)" CHAOS_RATE="$(RATE)" CHAOS_REPORTS="$(or $(REPORTS),$(CURDIR)/$(BIN)/chaos)" \
	LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server

.PHONY: chaos
chaos: deps livekit ## Break a cluster of containers on purpose (NEMESIS=… SEED=… DURATION=…; see testing/chaos/README.md)
	@CHAOS=1 $(CHAOS_ENV) $(GO) test ./testing/chaos -count=1 -v -timeout 0 -run "^(TestChaos|TestSentinel|TestRedisCluster|TestOverload|TestRealLiveKit)$$"
	@echo "reports: $(or $(REPORTS),$(BIN)/chaos)"

.PHONY: chaos-broken
chaos-broken: deps ## Test the chaos tests: builds with deliberate bugs, each of which a nemesis must make visible
	@CHAOS_BROKEN=1 $(CHAOS_ENV) $(GO) test ./testing/chaos -count=1 -v -timeout 0 -run "^TestBrokenBuilds$$"

.PHONY: smoke
smoke: deps livekit ## Run a few minutes of make chaos, as CI does; without a container engine, name what is missing
	@CHAOS_SMOKE=1 $(CHAOS_ENV) $(GO) test ./testing/chaos -count=1 -v -timeout 0 -run "^TestSmoke$$"

# The seeds begin at the current time, so that they are new, unless SEED or FIRST is given.
.PHONY: sim
sim: ## Simulate new seeds on all cores (TIME=3m for both simulations, or SEEDS=…, a tenth of them for clusters; SEED=… repeats one)
	@$(if $(SEED),,ROLLCALL_SIM_FIRST=$(or $(FIRST),$(shell date +%s)) ROLLCALL_SIM_SEEDS="$(SEEDS)" ROLLCALL_SIM_TIME="$(or $(TIME),$(if $(SEEDS),,3m))") \
		$(GO) test ./testing/sim -count=1 -v -timeout 0 -run "^(TestSimulation|TestClusterSimulation)$$" $(if $(SEED),-sim.seed $(SEED)) | grep --line-buffered -v "^ *=== \|--- PASS: .*/worker"

.PHONY: mutants
mutants: ## Test the tests: each small wrong change in testing/mutants must make a test fail (MUTANT=regular expression)
	@MUTANTS=1 MUTANT="$(MUTANT)" LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server $(GO) test ./testing/mutants -count=1 -v -timeout 0 -run "^TestMutants$$"

.PHONY: sample
sample: ## Change a package's code at random places (SAMPLE=./fsm N=50 SEED=1 RUN=tests AT=file:line) and print what its tests do not notice
	@SAMPLE="$(SAMPLE)" N="$(N)" SEED="$(SEED)" RUN="$(RUN)" AT="$(AT)" $(GO) test ./testing/mutants -count=1 -v -timeout 0 -run "^TestSample$$"

.PHONY: fuzz
fuzz: ## Fuzz every parser of foreign input (TIME=1m for all together); prints how to repeat a failing input
	@FUZZ="$(or $(TIME),1m)" $(GO) test ./testing/fuzzall -count=1 -v -timeout 0 -run "^TestFuzz$$" | grep --line-buffered -v "^ *=== "

# With GOGC=400 they take a quarter less time, and more memory.
.PHONY: lint
lint: ## Check formatting, go vet and staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); \
	if [ -n "$$unformatted" ]; then echo "not formatted, run 'make format':"; echo "$$unformatted"; exit 1; fi
	@GOGC=400 $(GO) vet ./...
	@GOGC=400 $(GO) run $(STATICCHECK) ./...

# VULNDB is another address of the database, such as file:///path of a copy, where vuln.go.dev cannot be reached.
.PHONY: vulncheck
vulncheck: ## Look for known vulnerabilities in what the code calls (needs vuln.go.dev, or VULNDB=file:///path of a copy)
	@$(GO) run $(GOVULNCHECK) $(if $(VULNDB),-db $(VULNDB)) ./...

.PHONY: format
format: ## Format the Go files
	@gofmt -w $$(git ls-files '*.go')

.PHONY: bench
bench: deps livekit ## Compare rollcall with a naive service, and with another commit (BASE=… ROUNDS=5), then run the benchmarks
	@COMPARE=1 ROUNDS="$(ROUNDS)" BASE="$(BASE)" $(GO) test ./testing/bench -count=1 -v -timeout 0 -run "^TestCompare$$" | grep --line-buffered -v "^ *=== \|--- PASS"
	@LIVEKIT_SERVER_BIN=$(CURDIR)/$(BIN)/livekit-server $(GO) test -run "^$$" -bench . -benchmem ./testing/bench ./reconcile

.PHONY: docs
docs: rules ## Write docs/configuration.md from the flags, and the table of docs/metrics.md from the answers of real nodes; make rules
	@$(GO) run ./cmd/rollcall gen-docs > docs/configuration.md
	@RACE=0 testing/install-deps.sh ./testing/deploy/prometheus
	@$(GO) test ./testing/deploy/prometheus -count=1 -run '^TestRealCluster$$/^reference$$' -update

.PHONY: pictures
pictures: deps ## Write docs/page.png and docs/page-dark.png, pictures of the present page
	@SCREENSHOTS=$(CURDIR)/docs $(GO) test ./testing/browser -count=1 -run '^TestPicturesOfTheReadme$$'

.PHONY: proto
proto: ## Write internal/wire/rollcall.pb.go from rollcall.proto (needs protoc: apt install protobuf-compiler)
	@command -v protoc >/dev/null || { echo "protoc is missing: apt install protobuf-compiler"; exit 1; }
	@GOBIN=$(CURDIR)/$(BIN) $(GO) install google.golang.org/protobuf/cmd/protoc-gen-go@$$($(GO) list -m -f '{{.Version}}' google.golang.org/protobuf)
	@protoc --plugin=$(BIN)/protoc-gen-go --go_out=. --go_opt=module=github.com/rollcallhq/rollcall internal/wire/rollcall.proto

.PHONY: rules
rules: ## Copy the alerts of deploy/prometheus/rules.yml into the Helm chart, and render the chart again if they have changed
	@if ! cmp -s deploy/prometheus/rules.yml deploy/helm/rollcall/files/rules.yml; then \
		cp deploy/prometheus/rules.yml deploy/helm/rollcall/files/rules.yml; \
		echo "copied deploy/prometheus/rules.yml to deploy/helm/rollcall/files; rendering the chart (the first time this compiles Helm)"; \
		DEPLOY=1 $(GO) test ./testing/deploy/chart -count=1 -run '^TestHelm$$' -update; \
	fi

# Suites that drive real processes or containers often wait. New seeds and fuzzing use the processors meanwhile, at the lowest priority.
.PHONY: check
check: ## Run what CI runs: lint, all tests, three minutes of new seeds, a minute of fuzzing, a few minutes of chaos
	@$(MAKE) --no-print-directory lint
	@source testing/unraced.sh; $(MAKE) --no-print-directory test PACKAGES="$$($(GO) list ./... | grep -vE "/($$drivers|$$containers)$$" | paste -sd ' ')"
	@source testing/unraced.sh; PACKAGES="$$($(GO) list ./... | grep -E "/($$drivers)$$" | paste -sd ' ')" \
		testing/alongside.sh "nice -n 19 $(MAKE) --no-print-directory sim TIME=3m" "$(MAKE) --no-print-directory test"
	@testing/alongside.sh "nice -n 19 $(MAKE) --no-print-directory fuzz TIME=1m" \
		"$(MAKE) --no-print-directory test PACKAGES=./testing/compose" "$(MAKE) --no-print-directory smoke"

.PHONY: check-deploy
check-deploy: ## Test what is deployed: build a release twice, install its packages, load its images, check goreleaser's configuration
	@DEPLOY=1 testing/install-deps.sh ./testing/deploy/...
	@DEPLOY=1 $(GO) test ./testing/deploy/... -count=1 -v -timeout 0 | grep --line-buffered -v "^ *=== "

.PHONY: check-long
check-long: ## Run for hours: all tests with the race detector, all of chaos, all mutants, fuzzing, and many seeds (SEEDS=10000)
	@RACE=1 $(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory chaos
	@$(MAKE) --no-print-directory chaos-broken
	@$(MAKE) --no-print-directory mutants
	@$(MAKE) --no-print-directory fuzz TIME=10m
	@$(MAKE) --no-print-directory sim SEEDS=$(or $(SEEDS),10000)
