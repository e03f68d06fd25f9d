# SPDX-License-Identifier: BSD-2-Clause
# Processes in the background, their ends, and signals.

check wait
(exit 3) & wait $!; echo $?
(exit 4) & p=$!; (exit 5) & q=$!; wait $q; echo $?; wait $p; echo $?
wait; echo $?
wait 999999; echo $?
true & true & true & wait; echo "all $?"

check kill
sleep 1000 & kill $!; wait $! 2>/dev/null; echo $?
sleep 1000 & kill -9 $!; wait $! 2>/dev/null; echo $?
sleep 1000 & p=$!; kill -0 $p && echo alive; kill -KILL $p; wait $p 2>/dev/null; kill -0 $p 2>/dev/null || echo gone
kill -l 15; kill -l 9; kill -l 130

check stop_and_go_on
sh -c 'kill -STOP $$; echo went on' & p=$!
while kill -CONT $p 2>/dev/null; do :; done; wait $p; echo $?

check handlers
sh -c 'trap "echo usr1" USR1; kill -USR1 $$; kill -USR1 $$; echo done'
sh -c 'trap "echo hup; exit 1" HUP; echo ready; while :; do sleep 0.01; done' > out & p=$!
until grep -q ready out 2>/dev/null; do :; done; kill -HUP $p; wait $p; echo $?; cat out
trap 'echo child' CHLD; /bin/busybox true; (exit 1); trap - CHLD

check wait_is_interrupted
sh -c 'trap : ALRM; sleep 1000 & s=$!; while kill -ALRM $$; do sleep 0.01; done 2>/dev/null & k=$!; wait $s; echo "status $?"; kill $s $k'

check exit_status_of_signals
for s in HUP INT ILL ABRT FPE KILL SEGV PIPE ALRM TERM USR1; do sh -c "kill -$s \$\$" 2>/dev/null; echo "$s $?"; done

check timeout
timeout 0.05 sleep 1000 2>/dev/null; echo $?
timeout 1000 sh -c 'exit 6'; echo $?
timeout -s KILL 0.05 sleep 1000 2>/dev/null; echo $?

check groups
setsid sh -c 'echo in a session of its own'
setsid sh -c 'sleep 1000 & sleep 1000 & kill 0'; echo $?

check orphan
sh -c '(until [ -e go ]; do :; done; echo orphan > word) & exit 0'; echo "parent $?"
: > go; until [ -s word ]; do :; done; cat word

check subshell_pids
[ "$(sh -c 'echo $PPID')" = "$$" ] && echo parent || echo other
sh -c 'echo $$' > a; sh -c 'echo $$' > b; cmp -s a b || echo distinct
( [ "$$" = "$(sh -c 'echo $PPID')" ] || echo own )

check sleeping
sleep 0; echo $?; sleep 0.01; echo $?; usleep 100; echo $?
sleep x 2>&1 | head -n 1

check limits
ulimit -n > n; [ "$(cat n)" -ge 256 ] && echo enough
umask 022; umask; umask 077; umask; umask -S; umask 022

check times
times | wc -l; time -p true 2>&1 | awk '{print $1}'

check parallel_work
for i in 1 2 3 4 5 6; do (seq 1 3000 | awk -v n=$i '{ s += $1 * n } END { print n, s }' > sum.$i) & done; wait; cat sum.*
