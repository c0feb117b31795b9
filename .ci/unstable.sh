# Functions for Pythons that this machine lacks: Debian unstable has them, and goes into a folder of its own.
# shellcheck shell=bash

# Print the address of the Debian archive that this machine installs from.
debian_archive() {
    apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | grep -m 1 ^http
}

# install_unstable FOLDER VERSION...: install these versions of Python there.
install_unstable() {
    local folder=$1 archive number packages=ca-certificates file
    shift
    archive=$(debian_archive) || return
    for number; do packages+=,python$number-venv; done
    debootstrap --variant=minbase --include="$packages" sid "$folder" "$archive" || return
    # The host's certificates: its proxy may have one of its own.
    rm -rf "$folder/etc/ssl/certs"
    for file in /etc/resolv.conf /etc/hosts /etc/ssl/certs "${SSL_CERT_FILE:-}" "${PIP_CERT:-}" "${REQUESTS_CA_BUNDLE:-}"; do
        [ -e "$file" ] || continue
        mkdir -p "$folder$(dirname "$file")"
        cp -rL --no-target-directory "$file" "$folder$file" || return
    done
    for number; do in_unstable "$folder" "$number" / "python3 -m venv /tmp/try && /tmp/try/bin/pip install -q -U pip && rm -r /tmp/try" || return; done
}

# in_unstable FOLDER VERSION DIRECTORY COMMAND: run a command of bash in a directory of the folder, with `python3` of this
# version. Its mounts and processes end with it, because they are in namespaces of their own.
in_unstable() (
    for name in index-url extra-index-url trusted-host proxy; do  # settings of pip's files
        variable=PIP_$(tr a-z- A-Z_ <<<"$name")
        if [ -z "${!variable:-}" ] && value=$(python3 -m pip config get "global.$name" 2>/dev/null); then
            export "$variable=$value"
        fi
    done
    unset PIP_FIND_LINKS TMPDIR  # folders of this machine
    mkdir -p "$1/versions/$2"
    ln -sf "/usr/bin/python$2" "$1/versions/$2/python3"
    export PATH=/versions/$2:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
    unshare --mount --pid --fork --kill-child --propagation private bash -euo pipefail -c '
        mount -t proc proc "$0/proc"
        mount --bind /dev/pts "$0/dev/pts"
        mount -t tmpfs -o mode=1777 tmpfs "$0/dev/shm"
        chroot "$0" /bin/bash -euo pipefail -c "cd \"\$0\"; $2" "$1" || exit  # not exec: the first process must be a shell
    ' "$1" "$3" "$4"
)
