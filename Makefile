# Plain `make` builds bin/gitlab-metrics-exporter; `make help` lists the rest.

NAME   := gitlab-metrics-exporter
PREFIX ?= /usr/local
GO     ?= go

VERSION  := $(shell cat VERSION)
REVISION := $(shell git rev-parse --short HEAD 2>/dev/null)
BRANCH   := $(shell git rev-parse --abbrev-ref HEAD 2>/dev/null)
VARIABLE := -X github.com/prometheus/common/version
LDFLAGS  := -s -w $(VARIABLE).Version=$(VERSION) $(VARIABLE).Revision=$(REVISION) $(VARIABLE).Branch=$(BRANCH)

export CGO_ENABLED ?= 0

.PHONY: build run test test-go test-386 test-ruby test-unstable cross lint bench bench-rails fuzz demo-rails demo-python install clean setup help

# What git knows is in LDFLAGS; Go would fail where git does, as in a clone that is another user's.
build: ## build bin/gitlab-metrics-exporter
	$(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/$(NAME) ./cmd/$(NAME)

# Root, who installs, often has no Go: what was built is taken as it is.
bin/$(NAME):
	$(MAKE) build

run: build ## serve a made-up application on http://localhost:8083/metrics
	exec bin/$(NAME) demo

test: setup test-go test-ruby ## install what the tests need, and run them all

# Not cached: tests run the program, Ruby and promtool, which go test does not know of.
test-go:
	CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 20m ./...

test-386: ## test the program as a 32-bit one
	GOARCH=386 $(GO) test -count=1 -timeout 20m ./cmd/... ./internal/...

cross: ## build and check the program for other machines, to see that it can be
	for target in linux/386 linux/arm64 darwin/arm64; do \
		export GOOS=$${target%/*} GOARCH=$${target#*/}; \
		$(GO) build -o /dev/null ./cmd/$(NAME) && $(GO) vet ./... || exit; \
	done

# All of the gem: with real Pumas and Sidekiqs, and the program that was built.
test-ruby: build
	cd gem && rspec

test-unstable: build ## test against a Debian unstable, as root: SID=DIR
	script/test-unstable $(SID)

lint: setup ## check formatting and the code
	script/lint

demo-rails: setup build ## run a Rails application with both metrics servers, until Ctrl-C
	script/demo-rails

demo-python: build ## run a Python application with a metrics server, until Ctrl-C
	script/demo-python

bench: setup build ## compare with the Ruby gem; see docs/performance.md
	script/bench

bench-rails: setup build ## compare the servers behind a Rails application
	script/bench-rails

fuzz: ## run each fuzz target for a while (FUZZTIME=30s)
	script/fuzz $(or $(FUZZTIME),30s)

install: bin/$(NAME) ## install into PREFIX (/usr/local) what was built
	install -D -m 755 bin/$(NAME) $(DESTDIR)$(PREFIX)/bin/$(NAME)

clean: ## remove what was built
	rm -rf bin

setup:
	script/setup

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 15
