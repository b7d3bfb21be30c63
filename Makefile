# The one list of tasks, for the desk and for CI. `make help` shows it.

VENV := $(shell ./bootstrap venv)
PATH := $(VENV)/bin:$(PATH):/usr/sbin:/sbin
export PATH
ROOMS := agent bootctl hal server-lite release qemu
ARGUMENTS ?=
CHAPTERS ?=
DESTDIR ?= /
BOARD ?= qemu-x86_64
SITE := $(DESTDIR)/usr/lib/python3/dist-packages
UNITS := $(DESTDIR)/usr/lib/systemd/system
SERVER_HOME ?= /opt/flipside-server

.DEFAULT_GOAL := help
.PHONY: help demo check test test-all chapters mutants diagram bench bench-server install-device install-server \
	clean environment

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

environment:
	@./bootstrap

demo: environment ## boot a device, update it, watch bad updates flip back (ARGUMENTS="--keep")
	@flipside-qemu demo $(ARGUMENTS)

check: environment ## format, lint, types, the arrows between rooms, unit tests
	ruff format --check .
	ruff check .
	mypy
	lint-imports
	pytest -m "not qemu and not slow"

test: check ## check, and the virtual devices that must never break
	pytest -m qemu

test-all: check mutants chapters ## everything that can run here

chapters: environment ## the long tests; CHAPTERS="power images" runs these alone
	python tests/chapters.py $(CHAPTERS)

mutants: environment ## break the machine in every way, one at a time; the tests must notice
	python tests/mutants.py

diagram: environment ## draw the state diagram of docs/architecture.md anew
	python -m flipside_agent.diagram docs/architecture.md

bench: environment ## measure what the device pays
	python bench/origin.py
	python bench/origin_overhead.py
	python bench/idle_agent.py
	python bench/bootctl_status.py
	python bench/store.py

bench-server: environment ## measure server-lite beside goosebit and hawkBit (ARGUMENTS="--full --write FILE")
	python -m bench.server $(ARGUMENTS)

define ENTRY_POINT
#!/usr/bin/python3 -I
import sys
from $(1).cli import main
sys.exit(main())
endef
export AGENT_ENTRY := $(call ENTRY_POINT,flipside_agent)
export BOOTCTL_ENTRY := $(call ENTRY_POINT,flipside_bootctl)

install-device: ## install the device's rooms below DESTDIR, for image builders (BOARD=qemu-x86_64)
	for package in agent/flipside_agent bootctl/flipside_bootctl hal/flipside_hal; do \
	    install -D -m 644 -t "$(SITE)/$${package##*/}" $$package/*.py || exit 1; \
	done
	install -d "$(DESTDIR)/usr/bin"
	printf '%s\n' "$$AGENT_ENTRY" > "$(DESTDIR)/usr/bin/flipside-agent"
	printf '%s\n' "$$BOOTCTL_ENTRY" > "$(DESTDIR)/usr/bin/flipside-bootctl"
	chmod 755 "$(DESTDIR)/usr/bin/flipside-agent" "$(DESTDIR)/usr/bin/flipside-bootctl"
	install -D -m 644 -t "$(DESTDIR)/etc/rauc" hal/rauc/$(BOARD)/system.conf
	install -D -m 644 -t "$(UNITS)" agent/systemd/*.service agent/systemd/*.timer \
	    agent/systemd/*.path
	for unit in rauc.service data.mount; do \
	    install -D -m 644 -t "$(UNITS)/$$unit.d" agent/systemd/$$unit.d/*.conf || exit 1; \
	done
	install -D -m 644 -t "$(DESTDIR)/usr/lib/flipside" agent/systemd/data.tmpfiles
	install -D -m 644 agent/systemd/flipside.tmpfiles "$(DESTDIR)/usr/lib/tmpfiles.d/flipside.conf"
	install -D -m 644 agent/systemd/flipside.sysusers "$(DESTDIR)/usr/lib/sysusers.d/flipside.conf"
	install -D -m 644 -t "$(DESTDIR)/usr/share/polkit-1/rules.d" agent/polkit/*.rules
	install -D -m 644 -t "$(DESTDIR)/etc/dbus-1/system.d" agent/dbus/*.conf
	install -D -m 644 -t "$(DESTDIR)/etc/flipside" agent/config/*.toml
	install -d "$(DESTDIR)/etc/flipside/health.d/required" "$(DESTDIR)/etc/flipside/health.d/wanted"

install-server: ## install the update server and its units on this machine, or bring them up to date
	@echo "Making a Python environment in $(SERVER_HOME)"
	@/usr/bin/python3 -m venv "$(SERVER_HOME)"
	@"$(SERVER_HOME)/bin/pip" install --quiet --disable-pip-version-check --force-reinstall \
	    --no-deps .
	@"$(SERVER_HOME)/bin/pip" install --quiet --disable-pip-version-check ".[server,release]"
	@rm -rf build flipside.egg-info
	@for command in flipside flipside-server; do \
	    ln -sfn "$(SERVER_HOME)/bin/$$command" "/usr/local/bin/$$command" || exit 1; \
	done
	@install -d /etc/systemd/system
	@for unit in server-lite/systemd/*.service server-lite/systemd/*.timer; do \
	    sed "s|/usr/bin/flipside-server|$(SERVER_HOME)/bin/flipside-server|" "$$unit" \
	        > "/etc/systemd/system/$${unit##*/}" || exit 1; \
	done
	@[ -e /etc/default/flipside-server ] || install -D -m 644 \
	    server-lite/systemd/flipside-server.default /etc/default/flipside-server
	@install -D -m 644 server-lite/systemd/flipside-server.sysusers \
	    /etc/sysusers.d/flipside-server.conf
	@install -D -m 644 server-lite/systemd/flipside-server.tmpfiles \
	    /etc/tmpfiles.d/flipside-server.conf
	@systemd-sysusers flipside-server.conf
	@systemd-tmpfiles --create flipside-server.conf
	@[ ! -d /run/systemd/system ] || systemctl daemon-reload
	@echo "Installed: docs/server.md tells how to set it up"

clean: ## remove what tests and tools left here; the cache stays
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find $(ROOMS) tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
