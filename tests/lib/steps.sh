# The steps of tests/run: each is a function that ends with the step's exit code.

step_fmt() { cargo fmt --all --check; }

step_clippy() { cargo clippy --workspace --all-targets --locked -- -D warnings; }

# The advisory database lives on GitHub; without a way there the other checks still count, and it is said.
step_deny() {
  install_deny || return
  "$DENY" --workspace --log-level error check bans licenses sources || return
  local output
  if output=$("$DENY" --workspace --log-level error check advisories 2>&1); then
    echo "advisories ok"
  elif grep -q 'failed to fetch advisory database' <<<"$output"; then
    echo "WARNING: the advisory database is out of reach from here: advisories were NOT checked"
  else
    echo "$output"
    return 1
  fi
}

# Unit tests, property tests and the simulation, of all crates. Properties are tried with other values each time; in
# continuous integration with the same ones, so that a change is judged by what it does.
step_unit() {
  [ "${CI:-}" != true ] || local -x PROPTEST_RNG_SEED=1
  cargo test --workspace --locked --no-fail-fast
}

# The simulation with seeds that nobody has chosen, for some seconds. What it finds is a bug, but perhaps not this
# change's: in continuous integration it is said and does not fail.
step_seeds() {
  cargo test --locked -p ottla-sim --test seeds -- --ignored && return
  [ "${CI:-}" = true ] || return 1
  echo "WARNING: a seed of the moment broke something; the line above repeats it"
}

# A short run of each fuzz target from the stored seeds, the same each time; set OTTLA_FUZZ_RUNS=-1 and OTTLA_FUZZ_SECONDS for a long one. The pinned compiler is told to allow what fuzzing needs.
step_fuzz() {
  install_fuzz || return
  local target corpus seconds=${OTTLA_FUZZ_SECONDS:-15} runs=${OTTLA_FUZZ_RUNS:-20000} targets=()
  mapfile -t targets < <(sed -n 's/^name = "\(.*\)"/\1/p' broker/fuzz/Cargo.toml | tail -n +2)
  for target in "${targets[@]}"; do
    corpus=$(mktemp -d)
    echo "--- $target for $seconds s"
    RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$TARGET/fuzz "$FUZZ" run --fuzz-dir broker/fuzz "$target" "$corpus" \
      "broker/fuzz/seeds/$target" -- -seed=1 -runs="$runs" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -verbosity=0 \
      -print_final_stats=1 || return
  done
}

# What the operator generates must be what is checked in, where it is there already.
step_charts() {
  local script=tests/kubernetes/check
  [ -x "$script" ] || { echo "no charts yet"; return 0; }
  "$script"
}

# The chart and the operator on a real Kubernetes, where there is one.
step_kubernetes() { tests/kubernetes/run -- ${PYTEST_ARGS[@]+"${PYTEST_ARGS[@]}"}; }

# Real clients against a real broker process.
step_clients() { run_pytest --ignore-glob='test_cluster*.py'; }

# Three broker processes: failover, restarts, reassignment.
step_cluster() { run_pytest $(cd tests/clients && echo test_cluster*.py); }

# Real brokers under real faults for a short time, the same faults each time; set OTTLA_CHAOS_SECONDS and
# OTTLA_CHAOS_SEED for others. The checker is tested first, by histories made by hand.
step_chaos() {
  install_python || return
  (cd tests/chaos && PYTHONDONTWRITEBYTECODE=1 "$PYTHON" -m pytest -q -p no:cacheprovider) || return
  local status=0
  tests/chaos/run --seconds "${OTTLA_CHAOS_SECONDS:-20}" --seed "${OTTLA_CHAOS_SEED:-2995}" --out "$LOGS/chaos" || status=$?
  [ "$status" = 77 ] || return "$status"
}

run_pytest() { # arguments of pytest, in front of the caller's own
  install_apt kcat && install_python && install_kafka && install_go_programs && install_java_programs || return
  export OTTLA_TEST_BROKER=${REFERENCE:-ottla} OTTLA_TEST_KEEP=$LOGS/brokers
  if [ -z "$REFERENCE" ] && [ -z "${OTTLA_BIN:-}" ]; then
    local profile=${OTTLA_PROFILE:-dev} folder
    cargo build --locked --profile "$profile" --bin ottla || return
    folder=$profile; [ "$profile" = dev ] && folder=debug
    export OTTLA_BIN=$TARGET/$folder/ottla
  fi
  (cd "$ROOT/tests/clients" && PYTHONDONTWRITEBYTECODE=1 \
    "$PYTHON" -m pytest -p no:cacheprovider --durations=15 "$@" ${PYTEST_ARGS[@]+"${PYTEST_ARGS[@]}"})
}

# What the summary says of a step.
verdict() { # log, status
  if [ "$2" != 0 ]; then echo FAILED; else grep -m1 '^SKIPPED: ' "$1" || echo ok; fi
}

# Adds what a step's own output says to the sums; a step without such lines counts as one.
count() { # step, log, status
  local step=$1 log=$2 status=$3 passed failed
  case $step in
    unit) passed=$(sum "$log" '^test result:.* ([0-9]+) passed.*'); failed=$(sum "$log" '^test result:.* ([0-9]+) failed.*') ;;
    clients | cluster | chaos | kubernetes)
      passed=$(sum "$log" '^(=+ )?(.*[ ,])?([0-9]+) passed.*' 3)
      failed=$(($(sum "$log" '^(=+ )?(.*[ ,])?([0-9]+) failed.*' 3) + $(sum "$log" '^(=+ )?(.*[ ,])?([0-9]+) errors?[ ,].*' 3))) ;;
    fuzz) passed=$(grep -c '^--- ' "$log"); failed=0; [ "$status" = 0 ] || passed=$((passed > 0 ? passed - 1 : 0)) ;;
    *) passed=$([ "$status" = 0 ] && echo 1 || echo 0); failed=0 ;;
  esac
  if [ "$status" != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  PASSED=$((PASSED + passed)) FAILED=$((FAILED + failed))
}

sum() { # log, pattern, group
  sed -E 's/\x1b\[[0-9;]*m//g' "$1" | sed -nE "s/$2/\\${3:-1}/p" | awk '{ total += $1 } END { print total + 0 }'
}
