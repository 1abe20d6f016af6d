# Sourced by the scripts of this folder: names and times each step, and says which one failed.

current_step=""

report_failure() {
  local code=$?
  if [ "$code" -ne 0 ] && [ -n "$current_step" ]; then
    printf '\n==> %s FAILED (exit code %d)\n' "$current_step" "$code" >&2
  fi
}
trap report_failure EXIT

# step NAME COMMAND…
step() {
  local start=$SECONDS
  current_step=$1
  shift
  printf '==> %s\n' "$current_step"
  "$@"
  printf '==> %s: %d s\n' "$current_step" "$((SECONDS - start))"
  current_step=""
}

# configure PRESET [OPTION…]: only warnings and errors are shown.
configure() {
  cmake --preset "$@" --log-level=WARNING >/dev/null
}

# Prints the comment at the top of the calling script.
usage() {
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p;}' "$0"
}
