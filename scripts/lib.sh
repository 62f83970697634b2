# What the scripts here share. Sourced by them, with the checkout as the working directory.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

# Prints the version (3.11) of the interpreter $1; fails when that cannot run. Running it is the
# only proof: a pyenv shim is found like a program and then refuses.
python_version() {
  "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# Prints the path of the interpreter $1 if it is one of the versions that follow and can make
# virtual environments.
usable_python() {
  local python=$1 version wanted
  shift
  version=$(python_version "$python") || return 1
  for wanted in "$@"; do
    if [ "$version" = "$wanted" ]; then
      "$python" -c 'import ensurepip, sys; print(sys.executable)' 2>/dev/null
      return
    fi
  done
  return 1
}

# Prints the Pythons 3.10, 3.11 and 3.12 that are here, oldest first, one a line. Those of pyenv
# mostly lie outside PATH.
all_pythons() {
  local version candidate
  for version in 3.10 3.11 3.12; do
    for candidate in "python$version" python3 "${PYENV_ROOT:-${HOME:-}/.pyenv}/versions/$version".*/bin/python; do
      usable_python "$candidate" "$version" && break
    done
  done
}

# Prints the Python to make environments with: $PYTHON, else python3, else the newest that fits.
find_python() {
  local newest
  if [ -n "${PYTHON:-}" ]; then
    usable_python "$PYTHON" 3.10 3.11 3.12 && return
    say "PYTHON=$PYTHON is not a working Python 3.10, 3.11 or 3.12 with venv; name another, or unset PYTHON."
    return 1
  fi
  usable_python python3 3.10 3.11 3.12 && return
  newest=$(all_pythons | tail -n 1)
  if [ -z "$newest" ]; then
    say "No working Python 3.10, 3.11 or 3.12 with venv was found; install one, or name it: PYTHON=/path/to/python."
    return 1
  fi
  printf '%s\n' "$newest"
}

# pip_install ENV ARGUMENT...: as `pip install` in ENV, by uv where that is here: it takes a fraction of the time.
# What uv cannot install (it does not read pip's settings) pip may.
pip_install() {
  local env=$1
  shift
  if command -v uv >/dev/null; then
    uv pip install --quiet --python "$env/bin/python" "$@" >&2 && return
    say "uv could not; pip tries."
  fi
  PIP_DISABLE_PIP_VERSION_CHECK=1 "$env/bin/python" -m pip install --quiet "$@" >&2
}

# install_once ENV PYTHON NAME FILE... -- ARGUMENT...: runs `pip install ARGUMENT...` in the virtual
# environment ENV, unless that was done before under this NAME with the FILEs as they are now.
# Makes ENV where it is missing; an empty PYTHON stands for find_python.
install_once() {
  local env=$1 python=$2 stamp=$1/$3.stamp files=() wanted
  shift 3
  while [ "$1" != -- ]; do
    files+=("$1")
    shift
  done
  shift
  wanted=$(printf '%s\n' "$PWD" "$@" && cat "${files[@]}")
  if ! python_version "$env/bin/python" >/dev/null; then
    [ -n "$python" ] || python=$(find_python) || return 1
    say "Making $env with $python"
    "$python" -m venv --clear "$env" || return 1
  elif [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; then
    return
  fi
  say "Installing into $env, which takes a minute or more: $*"
  rm -f "$stamp"
  pip_install "$env" "$@" || return 1
  printf '%s\n' "$wanted" >"$stamp"
}

# install_project ENV EXTRAS [PYTHON]: the project with its EXTRAS ("" for none), to be edited.
install_project() {
  install_once "$1" "${3:-}" "beam-mat-${2:-plain}" pyproject.toml setup.py constraints.txt -- \
    --constraint constraints.txt --editable ".${2:+[$2]}"
}
