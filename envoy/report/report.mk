# The trace health page. Included by the top Makefile, which defines `build`.

PAGE_NEEDS = build envoy-demo $(filter $(ENVOY_PRIVATE),$(ENVOY)) $(COLLECTOR_READY) .venv/bin/chromium tests/page/node_modules/.package-lock.json
IN_PAGE = @ENVOY='$(abspath $(ENVOY))' node

.PHONY: page page-screenshot

page: $(PAGE_NEEDS) ## test the trace health page in a headless Chromium
	$(IN_PAGE) --test --test-concurrency=1 --test-reporter=spec tests/page/*.test.js

page-screenshot: $(PAGE_NEEDS) .venv/unpacked/fonts-inter ## take the pictures of the trace health page in docs
	$(IN_PAGE) tests/page/screenshot.js .venv/unpacked/fonts-inter/usr/share/fonts docs
