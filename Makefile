# Two commands do all there is to set up: "make run" and "make test". Everything runs on the Node that package-lock.json
# pins; the distribution's own Node and npm are only used to install it.
SHELL := /bin/sh
.DEFAULT_GOAL := help
NODE := node_modules/node/bin/node
BIN := node_modules/.bin
UNIT := 'crds/**/*.test.ts' 'operator/**/*.test.ts' 'relay/**/*.test.ts' 'cli/**/*.test.ts' 'test/arch/*.test.ts' 'test/golden/*.test.ts'
STORIES := 'test/chart/*.test.ts' 'test/dialog/*.test.ts' 'test/delivery/*.test.ts' 'test/local/*.test.ts' 'test/interop/*.test.ts' 'test/crash/*.test.ts' 'test/bench/*.test.ts'
# These compare times or count memory, so nothing else of ours runs beside them.
ALONE := 'test/load/*.test.ts'
# Every test file is a process: it starts in half the time when the sources are compiled already, as in bin/mailrelay.
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/compiled
# A test that hangs is a failure, not a wait; so is a file whose process does not end, and a run that a lost process keeps.
TEST := timeout --foreground --kill-after=30 2400 $(NODE) --import ./test/kit/deadline.ts --test --test-reporter=spec --test-timeout=560000

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: node_modules/.installed ## install what package-lock.json pins

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	npm rebuild node --ignore-scripts=false --loglevel=error
	@$(NODE) cli/compile.ts >/dev/null
	@touch $@

run: setup ## run examples/mailrelay.yaml as local processes, with a sink behind it
	@bin/mailrelay run -f examples/mailrelay.yaml --sink 2525

test: programs ## every test there is: units, stories against real processes, the cluster
	@echo "== units"
	$(TEST) --test-concurrency=4 $(UNIT)
	@echo "== stories: real relay processes and real peers, some take half a minute"
	$(TEST) --test-concurrency=6 $(STORIES)
	$(TEST) --test-concurrency=1 $(ALONE)
	@echo "== a real Kubernetes, and the operator beside a real API server; the operator tells at the end"
	$(NODE) test/sidebyside.ts

programs: setup ## build what the tests stand on: Kubernetes, Helm, cert-manager (once a machine, a quarter of an hour)
	$(NODE) test/cluster/run.ts build

unit: setup ## the tests that take seconds
	$(TEST) --test-concurrency=4 $(UNIT)

stories: programs ## the tests against real relay processes
	$(TEST) --test-concurrency=6 $(STORIES)
	$(TEST) --test-concurrency=1 $(ALONE)

operator: setup ## the stories of the operator beside a real API server
	$(NODE) test/operator/run.ts test

cluster: setup ## the tests on a real Kubernetes
	$(NODE) test/cluster/run.ts test

cluster-up: setup ## start a cluster and leave it running
	$(NODE) test/cluster/run.ts up

cluster-down: setup ## end the cluster that cluster-up started
	$(NODE) test/cluster/run.ts down

verify: setup lint types dead generated ## everything that is checked without running a relay

lint: setup ## Biome: format and lint
	$(BIN)/biome check --error-on-warnings .

fmt: setup ## format, and mend what can be mended
	$(BIN)/biome check --write .

types: setup ## TypeScript in strict mode
	$(BIN)/tsc
	$(BIN)/tsc -p cli/console/page

dead: setup ## knip: exports, files and dependencies that nobody uses
	$(NODE) node_modules/knip/bin/knip.js

generate: setup ## write the CRD, its pages, the RBAC of the chart and the pages of the command
	$(NODE) crds/generate.ts
	$(NODE) operator/generate.ts
	$(NODE) cli/generate.ts

generated: setup ## fail when a generated file is stale
	$(NODE) crds/generate.ts --check
	$(NODE) operator/generate.ts --check
	$(NODE) cli/generate.ts --check

golden: setup ## refresh the golden files
	UPDATE_GOLDEN=1 $(TEST) 'test/golden/*.test.ts'

image: setup ## the image, as a docker-archive (PLATFORM=linux/arm64 NODE_IMAGE=... BASE=... REVISION=..., needs buildah)
	$(NODE) test/cluster/run.ts image

plugin: setup ## kubectl mailrelay for this platform, with its manifest for krew: .state/krew (RELEASES=...)
	$(NODE) test/cluster/run.ts plugin

sbom: setup ## the packages in the image, as CycloneDX: sbom.cdx.json
	npm ci --prefix .ci/sbom --ignore-scripts --no-audit --no-fund --loglevel=error
	$(NODE) test/sbom.ts .state/sbom
	$(NODE) .ci/sbom/node_modules/.bin/cyclonedx-npm --package-lock-only --omit dev --output-reproducible --validate \
		--spec-version 1.6 --output-file sbom.cdx.json .state/sbom/package.json

soak: setup ## the full numbers; writes dated reports under docs/reports
	$(NODE) test/soak.ts; relay=$$?; $(NODE) test/soak-operator.ts && exit $$relay

bench: setup ## our relay and its peers under the same load (BENCH="--scenarios A --rounds 5 ...")
	$(NODE) test/bench/run.ts $(BENCH)

bench-operator: setup ## what the operator costs with many MailRelays (BENCH="--relays 100,1000 --edits 100 ...")
	$(NODE) test/operator/run.ts bench $(BENCH)

audit: setup ## ask the registry for known weaknesses, but for optional packages of the tests (needs the internet)
	npm audit --omit=optional

clean: ## remove what was installed and the state of "make run"
	rm -rf node_modules .state

.PHONY: help setup run test programs unit stories operator cluster cluster-up cluster-down verify lint fmt types dead generate generated golden image plugin sbom soak bench bench-operator audit clean
