# Sourced by the scripts beside it: where we are, how we speak, how we become root.

set -euo pipefail

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

# The minimal Debian roots, outside the repository, so that a clean checkout finds them again.
roots=${ELIXIR_SCOPE_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/elixir_scope/roots}

# Debian 13: Elixir 1.18 on OTP 27. forky: Elixir 1.20 on OTP 29. The host has the oldest ones, on Debian 12.
suites=(trixie forky)

heading() {
	printf '\n=== %s ===\n' "$*"
}

fail() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# Runs a command as root; the first argument says what for, if that is not possible.
as_root() {
	local why=$1
	shift
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
		sudo -n "$@"
	else
		fail "$why needs root, but this is $(id -un) without a sudo that asks no password; run it as root"
	fi
}

apt_install() {
	command -v apt-get >/dev/null ||
		fail "$* is missing and there is no apt-get here; install it with the package manager of this system"
	heading "Installing $*"
	# A source that cannot be refreshed need not be the one that has the package; if it is, the second line fails.
	as_root "installing $*" env DEBIAN_FRONTEND=noninteractive apt-get update -q </dev/null ||
		echo "apt-get update did not reach every source; going on"
	as_root "installing $*" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends "$@" </dev/null
}

# The mirror that this machine already uses for Debian itself; nothing where apt has none.
mirror() {
	apt-get indextargets 'Origin: Debian' 'Label: Debian' 'Created-By: Packages' \
		--format '$(REPO_URI)' 2>/dev/null | head -n 1 || true
}

# The files of the working tree that git knows or would add, and the built library; nothing that is ignored.
copy_checkout() {
	cd "$repository"
	{
		git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
			# Deleted in the working tree, not yet in the index.
			[ ! -e "$file" ] && [ ! -L "$file" ] || printf '%s\0' "$file"
		done
		printf '%s\0' priv/native/elixir_scope_nif.so priv/native/elixir_scope_nif.manifest
	} | tar --create --null --files-from=- | as_root "copying into a root" tar --extract --no-same-owner --directory="$1"
}

# Own mounts and own processes: whatever the tests start or mount ends with them.
in_root() {
	local root=$1
	shift
	as_root "entering a root" unshare --mount --pid --fork --kill-child bash -c '
		set -e
		mount -t proc proc "$1/proc"
		root=$1
		shift
		exec chroot "$root" env -i PATH=/usr/local/bin:/usr/bin:/bin HOME=/root LANG=C.UTF-8 MIX_ENV=test "$@"' \
		in_root "$root" "$@" </dev/null
}
