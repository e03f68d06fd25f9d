# SPDX-License-Identifier: BSD-2-Clause
# `sh run.sh AREA...`: runs the checks of AREA.sh, each in a folder of its own below /tmp/busybox. A line `# AREA/NAME` begins each one's output; the answers are in AREA.out.
here=$(cd "$(dirname "$0")" && pwd)
top=${BUSYBOX_TMP:-/tmp/busybox}
export LC_ALL=C TZ=UTC0
exec < /dev/null

# check NAME: what follows, up to the next one, is the check's.
check() {
    cd "$top/$area" && mkdir "$1" && cd "$1" || exit 1
    echo "# $area/$1"
}

for area; do
    rm -rf "$top/$area"
    mkdir -p "$top/$area"
    # To a pipe, here as there: to a terminal some programs write otherwise.
    { (. "$here/$area.sh"); echo "# $area ended: $?"; } 2>&1 | cat
done
