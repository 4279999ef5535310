# `make help` lists the targets. Everything that is set up lands in .venv and build/ of this folder.

PYTHON ?= python3
ARGS ?=
SECONDS ?= 20
FUZZ_ARGS ?= -seed=1
CMAKE_FLAGS ?= -DSPR_WERROR=ON
CPUS ?= cortex-a53 cortex-a76 max
ARMV7_CPU ?= cortex-a7
AVX512_SWEEP ?= --quick
C_TESTS := $(notdir $(basename $(wildcard csrc/tests/test_*.c)))

VENV := .venv
PY := $(VENV)/bin/python
ARM64 := build/arm64-python
# Wheels, and the programs that come as wheels (cmake, ninja).
PIP := $(PY) -m pip install -q --disable-pip-version-check
CMAKE := $(VENV)/bin/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(abspath $(VENV))/bin/ninja
QEMU = $(shell command -v qemu-aarch64 || command -v qemu-aarch64-static)
QEMU_ARMV7 = $(shell command -v qemu-arm || command -v qemu-arm-static)

all: build

help:
	@echo "make build      .venv with everything from PyPI, the extension, .venv/bin/sparse-runtime"
	@echo "make demo       build, then examples/demo.py: a pruned MobileNetV1, sparse against dense"
	@echo "make test       all tests, native and emulated arm64, with a summary of what ran and what did not"
	@echo "make check-c    C sweep of every kernel variant, native"
	@echo "make check-arm  the same for arm64 under qemu, as each of CPUS=\"$(CPUS)\""
	@echo "make check-armv7  the same for 32-bit ARM under qemu (ARMV7_CPU=cortex-a7 chooses the core)"
	@echo "make bench-binaries  spr-bench for this machine, arm64 and 32-bit ARM in build/bench; see docs/boards.md"
	@echo "make check-avx512  the sweep of kernels that need AVX-512, on an emulated machine (AVX512_SWEEP= all cases, 8 min)"
	@echo "make check-boards  tests of spr-bench and of sparse-runtime device-bench"
	@echo "make check-packages  builds sdist and wheels, native and arm64, installs and runs them"
	@echo "make test-py    pytest, native             (ARGS=\"-k name\" goes to pytest)"
	@echo "make test-arm   pytest under the arm64 Python (ARM64_CPU=cortex-a53 chooses the core)"
	@echo "make test-android  the Java API on this machine's Java, the library for Android, its AAR"
	@echo "make sanitize   C tests under sanitizers, with kernels in plain C"
	@echo "make sanitize-kernels  C tests, sweep and networks under sanitizers, with all kernels (some minutes)"
	@echo "make sanitize-threads  networks on two threads under ThreadSanitizer, with all kernels (some minutes)"
	@echo "make sanitize-arm  the sweep under sanitizers for arm64, under qemu as each of CPUS"
	@echo "make fuzz       random changes of model files for SECONDS=$(SECONDS)"
	@echo "make bench      benchmarks                 (ARGS likewise)"
	@echo "make bench-report  networks on this machine, ours and other runtimes side by side: docs/benchmarks.md"
	@echo "make bench-arm  cycles estimated for ARM cores, for the same page"
	@echo "make clean      removes what was built; make distclean also .venv and build/"
	@echo "PYTHON=/path/to/python3 chooses the Python that .venv is made from."

# ---- set-up, each step stamped
$(VENV)/.created: tools/make-venv.sh
	sh tools/make-venv.sh $(PYTHON) $(VENV)
	@touch $@

$(VENV)/.tools: $(VENV)/.created
	@echo "installing build tools into $(VENV)"
	@$(PIP) "setuptools>=77" "cython>=3.1" cmake ninja
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.tools | build/.extension
	@echo "installing Python packages into $(VENV)"
	@$(PIP) --no-build-isolation -e ".[convert,cli,test]"
	@touch $@

$(ARM64)/.ready: tools/arm64-python/setup.sh $(VENV)/.installed
	HOST_PYTHON=$(PY) PIP_PACKAGES="$$($(PY) tools/test_packages.py)" sh tools/arm64-python/setup.sh $(ARM64)
	@touch $@

# ---- builds. A stamp of the extension has the time when compiling began; a folder changes when a file comes or goes.
SOURCES := setup.py $(shell find csrc -type d -o -name '*.[ch]' -o -name '*.inc') \
	$(shell find sparse_runtime -name '*.pyx' -o -name '*.pxd')

build/.extension: $(SOURCES) $(VENV)/.tools
	@mkdir -p build && touch $@.start
	@echo "building the extension"
	@$(PY) setup.py -q build_ext --inplace
	@mv $@.start $@

build/.extension-arm: $(SOURCES) build/.extension $(ARM64)/.ready
	@touch $@.start
	@echo "building the extension for arm64"
	@$(ARM64)/bin/cross $(PY) setup.py -q build_ext --inplace
	@mv $@.start $@

extension: build/.extension

extension-arm: build/.extension-arm

build: extension $(VENV)/.installed

# CMake builds the library for Java where it finds a JDK; without one all else works.
build/.jdk:
	@mkdir -p build
	@command -v javac >/dev/null || sh tools/apt-install.sh openjdk-17-jdk-headless || \
		echo "No JDK: the library for Java is not built, and its tests are skipped." >&2
	@touch $@

build/native/build.ninja: $(VENV)/.tools | build/.jdk
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) -DSPR_STATIC_BENCH=ON $(CMAKE_FLAGS)

build/static/build.ninja: $(VENV)/.tools
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) -DSPR_STATIC_EXECUTABLES=ON $(CMAKE_FLAGS)

build/aarch64/build.ninja: $(VENV)/.tools | build/.jdk
	sh tools/arm64-python/host-tools.sh
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) -DCMAKE_TOOLCHAIN_FILE=tools/cmake/aarch64-linux-gnu.cmake \
		-DSPR_STATIC_EXECUTABLES=ON $(CMAKE_FLAGS)

build/armv7/build.ninja: $(VENV)/.tools | build/.jdk
	sh tools/arm64-python/host-tools.sh armv7
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) -DCMAKE_TOOLCHAIN_FILE=tools/cmake/arm-linux-gnueabihf.cmake \
		-DSPR_STATIC_EXECUTABLES=ON $(CMAKE_FLAGS)

SANITIZED := -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_C_FLAGS_RELWITHDEBINFO="-O1 -g"
# What CI compiles for sanitizers and fuzzing; `make sanitize-kernels` takes minutes to compile the others.
SANITIZED_PLAIN := $(SANITIZED) -DSPR_PLAIN_C=ON -DSPR_BUILD_TOOLS=OFF

build/asan/build.ninja: $(VENV)/.tools
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED_PLAIN) -DSPR_SANITIZE=address,undefined

build/asan-kernels/build.ninja: $(VENV)/.tools
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED) -DSPR_SANITIZE=address,undefined

build/tsan-kernels/build.ninja: $(VENV)/.tools
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED) -DSPR_SANITIZE=thread

build/asan-aarch64/build.ninja: $(VENV)/.tools
	sh tools/arm64-python/host-tools.sh
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED) -DSPR_SANITIZE=address,undefined \
		-DCMAKE_TOOLCHAIN_FILE=tools/cmake/aarch64-linux-gnu.cmake

build/tsan/build.ninja: $(VENV)/.tools
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED_PLAIN) -DSPR_SANITIZE=thread

build/fuzz/build.ninja: $(VENV)/.tools
	@command -v clang-19 >/dev/null || sh tools/apt-install.sh clang-19 libclang-rt-19-dev
	@$(CMAKE) --log-level=WARNING -S . -B $(@D) $(SANITIZED_PLAIN) -DCMAKE_C_COMPILER=clang-19 \
		-DSPR_BUILD_TESTS=OFF -DSPR_BUILD_FUZZER=ON -DSPR_SANITIZE=fuzzer-no-link,address,undefined

core-native: build/native/build.ninja
	@$(VENV)/bin/cmake --build build/native

core-arm: build/aarch64/build.ninja
	@$(VENV)/bin/cmake --build build/aarch64

core-armv7: build/armv7/build.ninja
	@$(VENV)/bin/cmake --build build/armv7

# spr-bench for what the build machine is and for both kinds of ARM, to copy to boards and phones.
bench-binaries: core-native core-arm core-armv7
	@mkdir -p build/bench
	@cp build/native/spr-bench build/bench/spr-bench-$$(uname -m)
	@strip build/bench/spr-bench-$$(uname -m)
	@aarch64-linux-gnu-strip -o build/bench/spr-bench-aarch64 build/aarch64/spr-bench
	@arm-linux-gnueabihf-strip -o build/bench/spr-bench-armv7 build/armv7/spr-bench
	@ls -l build/bench

# ---- runs
demo: build
	$(PY) examples/demo.py $(ARGS)

bench: build
	$(PY) -m pytest benchmarks $(ARGS)

# The runtimes to compare with, as far as they install.
peers: build
	sh benchmarks/peers/setup.sh $(PYTHON)

bench-report: peers
	$(PY) -m benchmarks.report --measure $(ARGS)

bench-arm: build core-arm
	@command -v llvm-mca-19 >/dev/null || command -v llvm-mca >/dev/null || sh tools/apt-install.sh llvm-19
	$(PY) -m benchmarks.arm $(ARGS)
	$(PY) -m benchmarks.report

check-c: core-native
	@set -e; for test in $(C_TESTS); do echo build/native/$$test; build/native/$$test; done
	build/native/spr-check

# Bochs has AVX-512, VNNI and VBMI, but no AMX.
check-avx512: build/static/build.ninja
	@$(VENV)/bin/cmake --build build/static --target spr-check
	sh tools/bochs/run.sh build/bochs "/spr-check --needs avx512 $(AVX512_SWEEP)" build/static/spr-check

check-arm: core-arm
	@set -e; for cpu in $(CPUS); do $(MAKE) --no-print-directory run-arm-$$cpu; done

run-arm-%:
	@set -e; for test in $(C_TESTS); do echo build/aarch64/$$test; $(QEMU) -cpu $* build/aarch64/$$test; done
	$(QEMU) -cpu $* build/aarch64/spr-check

# C tests and sweep of the kernels in plain C under AddressSanitizer and UndefinedBehaviorSanitizer, two tests under
# ThreadSanitizer.
sanitize: build/asan/build.ninja build/tsan/build.ninja
	@$(VENV)/bin/cmake --build build/asan --target $(C_TESTS) spr-check
	@$(VENV)/bin/cmake --build build/tsan --target test_threads test_pool test_alloc
	@set -e; for test in $(C_TESTS:%=asan/%) tsan/test_threads tsan/test_pool tsan/test_alloc; do echo build/$$test; build/$$test; done
	build/asan/spr-check --quick

# All kernels of this machine's kind under AddressSanitizer and UndefinedBehaviorSanitizer: C tests, sweep, networks.
sanitize-kernels: build build/asan-kernels/build.ninja
	@$(VENV)/bin/cmake --build build/asan-kernels --target $(C_TESTS) spr-check spr-bench
	@set -e; for test in $(C_TESTS) spr-check; do echo build/asan-kernels/$$test; build/asan-kernels/$$test; done
	PYTHONPATH=$(CURDIR) $(PY) tools/sanitize_networks.py build/asan-kernels/spr-bench build/asan-kernels/networks $(ARGS)

# Layers that run without waiting for each other (runtime/strips.h) must not touch the same memory.
sanitize-threads: build build/tsan-kernels/build.ninja
	@$(VENV)/bin/cmake --build build/tsan-kernels --target spr-bench
	PYTHONPATH=$(CURDIR) $(PY) tools/sanitize_networks.py build/tsan-kernels/spr-bench build/tsan-kernels/networks $(ARGS)

# The sweep alone under AddressSanitizer and UndefinedBehaviorSanitizer for arm64, as each of CPUS. Under qemu leaks are
# not looked for: it cannot trace itself.
sanitize-arm: build/asan-aarch64/build.ninja
	@$(VENV)/bin/cmake --build build/asan-aarch64 --target spr-check
	@set -e; for cpu in $(CPUS); do echo $$cpu; ASAN_OPTIONS=detect_leaks=0 $(QEMU) -cpu $$cpu -L /usr/aarch64-linux-gnu \
		build/asan-aarch64/spr-check --quick; done

# Random changes of model files: SECONDS of them, from small models of each operator. What it finds is kept in
# build/fuzz/found.
fuzz: build build/fuzz/build.ninja
	@$(VENV)/bin/cmake --build build/fuzz --target fuzz_model
	@test -d build/fuzz/seeds || PYTHONPATH=$(CURDIR) $(PY) tools/fuzz_corpus.py build/fuzz/seeds
	@mkdir -p build/fuzz/corpus build/fuzz/found
	ASAN_OPTIONS=allocator_may_return_null=1 build/fuzz/fuzz_model build/fuzz/corpus build/fuzz/seeds -max_len=8192 \
		-timeout=60 -max_total_time=$(SECONDS) -artifact_prefix=build/fuzz/found/ -print_final_stats=1 \
		-verbosity=0 $(FUZZ_ARGS)

# spr-bench and `sparse-runtime device-bench`, with stand-ins for adb and ssh that run the programs under qemu.
check-boards: build bench-binaries
	SPARSE_RUNTIME_BOARDS=1 $(PY) $(PYTEST) tests/boards $(ARGS)

# The sdist and the wheels, native and arm64, installed and run.
check-packages: build extension-arm
	$(PY) tools/check_packages.py --arm64 $(ARM64) $(ARGS)

check-armv7: core-armv7
	@set -e; for test in $(C_TESTS); do echo build/armv7/$$test; $(QEMU_ARMV7) -cpu $(ARMV7_CPU) build/armv7/$$test; done
	$(QEMU_ARMV7) -cpu $(ARMV7_CPU) build/armv7/spr-check

PYTEST := -m pytest --durations=8 --durations-min=1

# tests/c links what core-native built, and core-arm, if it did.
test-py: build core-native
	$(PY) $(PYTEST) $(ARGS)

# The extension for arm64 lies beside the native one; its pytest keeps no cache, so that both can run at once.
test-arm: extension-arm
	PYTHONPATH=$(CURDIR) $(ARM64)/bin/python $(PYTEST) -p no:cacheprovider -m "not slow" $(ARGS)

test-android: build core-native core-arm core-armv7
	$(PY) $(PYTEST) android/tests $(ARGS)

test:
	@MAKE="$(MAKE)" $(PYTHON) tools/test_all.py

clean:
	rm -rf build/native build/asan* build/tsan* build/fuzz build/aarch64 build/armv7 build/bench build/lib.* build/temp.* \
		build/test-logs build/.extension* dist *.egg-info
	rm -f sparse_runtime/_core.c sparse_runtime/_core*.so

distclean: clean
	rm -rf build $(VENV)

.PHONY: all help sanitize sanitize-kernels sanitize-threads sanitize-arm fuzz extension build core-native core-arm \
	core-armv7 bench-binaries extension-arm demo bench peers bench-report bench-arm check-c check-arm check-armv7 check-avx512 \
	check-boards check-packages test-py test-arm test-android test clean distclean
.DELETE_ON_ERROR:
