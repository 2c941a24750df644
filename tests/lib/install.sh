# Installs what the tests need, outside of the checkout. Each function may be called again at any time; what is there is
# kept. Sourced by tests/run.

CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2
HELM_VERSION=v3.20.2

# Runs a command; a first failure (a registry that did not answer) is tried once more.
retry() {
  "$@" && return
  echo "    once more: $*" >&2
  sleep 3
  "$@"
}

need() { # command, how to get it
  command -v "$1" >/dev/null || { echo "tests/run: $1 is missing: $2" >&2; return 1; }
}

# apt packages, when a command or header is missing.
install_apt() { # package...
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  local sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
  echo "    installing ${missing[*]}"
  # shellcheck disable=SC2086
  retry $sudo env DEBIAN_FRONTEND=noninteractive sh -c "
    apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends ${missing[*]} >/dev/null"
}

# A Python environment with what a file asks for, or else the clients; sets PYTHON.
install_python() { # requirements
  local wanted venv requirements=$ROOT/${1:-tests/clients/requirements.txt}
  wanted=$(sha256sum "$requirements" | cut -c1-16)
  venv=$CACHE/python/$wanted
  if [ ! -e "$venv/done" ]; then
    need python3 "install Python 3.10 or later" || return
    rm -rf "$venv"
    python3 -m venv "$venv" || { install_apt python3-venv && python3 -m venv "$venv"; } || return
    retry "$venv/bin/pip" install -q -r "$requirements" || return
    touch "$venv/done"
  fi
  PYTHON=$venv/bin/python
}

# Kafka's jars; sets OTTLA_KAFKA_LIBS.
install_kafka() {
  [ -z "${OTTLA_KAFKA_LIBS:-}" ] || return 0
  local wanted libs
  wanted=$(sha256sum "$ROOT/tests/clients/pom.xml" | cut -c1-16)
  libs=$CACHE/kafka/$wanted
  if [ ! -d "$libs" ]; then
    command -v javac >/dev/null && command -v mvn >/dev/null || install_apt default-jdk-headless maven || return
    rm -rf "$libs.part"
    retry mvn -q -B -f "$ROOT/tests/clients/pom.xml" dependency:copy-dependencies \
      -DoutputDirectory="$libs.part" || return
    mv "$libs.part" "$libs"
  fi
  export OTTLA_KAFKA_LIBS=$libs
}

# The Go programs; sets OTTLA_TEST_GO.
install_go_programs() {
  command -v go >/dev/null || install_apt golang-go || return
  export OTTLA_TEST_GO=$CACHE/go-programs
  mkdir -p "$OTTLA_TEST_GO"
  (cd "$ROOT/tests/clients/go" && retry go mod download && go vet ./... && go build -o "$OTTLA_TEST_GO/" ./...)
}

# The Java programs; sets OTTLA_TEST_JAVA. Wants install_kafka.
install_java_programs() {
  export OTTLA_TEST_JAVA=$CACHE/java-programs
  mkdir -p "$OTTLA_TEST_JAVA"
  javac -Xlint:all,-classfile,-processing -cp "$OTTLA_KAFKA_LIBS/*" -d "$OTTLA_TEST_JAVA" "$ROOT"/tests/clients/java/*.java
}

# cargo-deny; sets DENY.
install_deny() {
  DENY=$(command -v cargo-deny || true)
  [ -z "$DENY" ] || return 0
  DENY=$CACHE/cargo/bin/cargo-deny
  [ -x "$DENY" ] || CARGO_TARGET_DIR=$CACHE/cargo/target retry \
    cargo install -q --locked --root "$CACHE/cargo" --version "$CARGO_DENY_VERSION" cargo-deny
}

# cargo-fuzz; sets FUZZ.
install_fuzz() {
  FUZZ=$(command -v cargo-fuzz || true)
  [ -z "$FUZZ" ] || return 0
  FUZZ=$CACHE/cargo/bin/cargo-fuzz
  [ -x "$FUZZ" ] || CARGO_TARGET_DIR=$CACHE/cargo/target retry \
    cargo install -q --locked --root "$CACHE/cargo" --version "$CARGO_FUZZ_VERSION" cargo-fuzz
}

# promtool, which Debian has in the package of Prometheus; nothing is started.
install_promtool() { command -v promtool >/dev/null || install_apt prometheus; }

# Helm: the one that is there, or that came with the test Kubernetes, or else from its Go module; sets and exports HELM.
install_helm() {
  HELM=$(command -v helm || command -v "${KUBE_DIR:-/tmp/kube}/bin/helm" || true)
  if [ -z "$HELM" ]; then
    HELM=$CACHE/go/bin/helm
    if [ ! -x "$HELM" ]; then
      command -v go >/dev/null || install_apt golang-go || return
      GOBIN=$CACHE/go/bin retry go install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" || return
    fi
  fi
  export HELM
}
