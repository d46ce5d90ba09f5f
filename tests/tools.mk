# What the tests borrow, none of it installed into the system. Included by the top Makefile.
#   .venv/debian/PACKAGE/ready       a Debian package, unpacked beside what it depends on and this machine lacks
#   tests/DIRECTORY/node_modules     what that directory's package-lock.json names

.SECONDARY:

# apt answers from the lists that it has; a fresh machine has none yet, and only root may fetch them.
.venv/debian/%/ready:
	@echo "Unpacking Debian's $* into $(@D)…"
	@rm -rf $(@D) && mkdir -p $(@D) && cd $(@D) && \
		fetch() { apt-get -qq download $* $$(LC_ALL=C apt-get -s install --no-install-recommends $* \
			| sed -n 's/^Inst \([^ ]*\).*/\1/p'); } && \
		{ fetch 2>/dev/null || { apt-get -qq update && fetch; } } && \
		for package in *.deb; do dpkg -x $$package . || exit 1; done && rm -f -- *.deb || { \
		echo "Debian's package $* could not be had (as root: apt-get update)." >&2; exit 1; }
	@touch $@

tests/%/node_modules: tests/%/package-lock.json
	@command -v npm >/dev/null || { echo "npm is missing (Debian: apt-get install npm), Node.js 20 or later." >&2; exit 1; }
	@echo "Installing what $< names…"
	@npm ci --prefix tests/$* --silent --no-audit --no-fund --ignore-scripts
	@touch $@
