# The trace health page. Included by the top Makefile, which defines `build`.
#   CHROMIUM=/path/to/chromium   the browser that it is tested in; none is unpacked

CHROMIUM ?=
CHROMIUM_READY := $(if $(CHROMIUM),,.venv/debian/chromium/ready)
PAGE_NEEDS = build envoy-demo $(filter $(ENVOY_PRIVATE),$(ENVOY)) $(COLLECTOR_READY) $(CHROMIUM_READY) tests/page/node_modules/.package-lock.json
IN_PAGE = @ENVOY='$(abspath $(ENVOY))' CHROMIUM='$(CHROMIUM)' node

.PHONY: page page-screenshot

page: $(PAGE_NEEDS) ## test the trace health page in a headless Chromium
	$(IN_PAGE) --test --test-concurrency=1 --test-reporter=spec tests/page/*.test.js

page-screenshot: $(PAGE_NEEDS) .venv/debian/fonts-inter/ready ## take the pictures of the trace health page in docs
	$(IN_PAGE) tests/page/screenshot.js .venv/debian/fonts-inter/usr/share/fonts docs
