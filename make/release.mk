# What a release holds in addition to the module: the command for Linux, as static programs. Included by the top Makefile.
# Zig's C compiler, from PyPI, builds and links for both machines wherever it runs. It is not the machine's own, so that the
# bytes do not depend on the machine.

ZIG_VERSION := 0.17.1
ZIGBUILD_VERSION := 0.24.1
ZIG := .venv/zig-$(ZIG_VERSION)
STATIC := target/static
MACHINES := x86_64 aarch64
COMMANDS := $(MACHINES:%=$(STATIC)/%-unknown-linux-musl/command/tracewarden)
# Of the command, as it describes itself: completions and manual pages.
SHARE := target/share

.PHONY: release commands $(COMMANDS)
release: build commands ## put a release together: target/dist
	@$(XTASK) release $(MODULE) target/dist $(COMMANDS:%=--command %) --share $(SHARE) --zig $(ZIG)/ziglang

commands: $(COMMANDS) ## build the command of a release: static programs for Linux on x86-64 and arm64
	@rm -rf $(SHARE) && mkdir -p $(SHARE)/man/man1 $(SHARE)/bash-completion/completions $(SHARE)/zsh/site-functions \
		$(SHARE)/fish/vendor_completions.d $(SHARE)/elvish/lib $(SHARE)/powershell
	@set -e; command=$(STATIC)/$$(uname -m)-unknown-linux-musl/command/tracewarden; \
		test -x $$command || { echo "The manual pages are printed by the command itself, and none of this release runs on" \
			"$$(uname -sm): put releases together on Linux on x86-64 or arm64." >&2; exit 1; }; \
		$$command man $(SHARE)/man/man1 >/dev/null; \
		$$command completions bash >$(SHARE)/bash-completion/completions/tracewarden; \
		$$command completions zsh >$(SHARE)/zsh/site-functions/_tracewarden; \
		$$command completions fish >$(SHARE)/fish/vendor_completions.d/tracewarden.fish; \
		$$command completions elvish >$(SHARE)/elvish/lib/tracewarden.elv; \
		$$command completions powershell >$(SHARE)/powershell/tracewarden.ps1

# Paths of the machine are left out of the C code too, and nothing is written into the home directory.
$(COMMANDS): $(STATIC)/%-unknown-linux-musl/command/tracewarden: | $(ZIG)/ready rust-target-%-unknown-linux-musl
	@echo "Building the command for Linux on $*…"
	@PATH="$(abspath $(ZIG)/bin):$$PATH" TRACEWARDEN_REVISION='$(REVISION)' \
		CARGO_ZIGBUILD_CACHE_DIR='$(abspath $(STATIC)/zigbuild)' ZIG_GLOBAL_CACHE_DIR='$(abspath $(STATIC)/zig)' \
		CFLAGS='-ffile-prefix-map=$(CARGO_HOME)/registry/src= -ffile-prefix-map=$(CURDIR)=' \
		env -u RUSTFLAGS -u CARGO_ENCODED_RUSTFLAGS $(CARGO) zigbuild --locked -p tracewarden-tool --profile command \
		--target $*-unknown-linux-musl --target-dir $(STATIC) --config 'target.$*-unknown-linux-musl.rustflags = [$(REMAP)]'

$(ZIG)/ready:
	@$(BORROW) venv $(ZIG) "Zig $(ZIG_VERSION)" ziglang==$(ZIG_VERSION) cargo-zigbuild==$(ZIGBUILD_VERSION)
	@cd $(ZIG) && ln -sfn lib/python3*/site-packages/ziglang ziglang
	@touch $@
