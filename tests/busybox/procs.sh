# SPDX-License-Identifier: BSD-2-Clause
# Who runs: ps, top, pgrep, pkill, killall, pidof, pstree, free, uptime, start-stop-daemon; all of it read from /proc.

# The shell that runs this; $$ is the one that began it.
self=$(sh -c 'echo $PPID')
# in_state LETTER PID [NAME]: waits until the process is in that state and, if a name is given, runs that program.
in_state() { until [ "$(ps -o pid,stat,args | awk -v p=$2 -v n=$3 '$1 == p && (n == "" || $3 == n) { print substr($2, 1, 1) }')" = $1 ]; do :; done; }

check ps
sleep 1001 & p=$!; in_state S $p sleep
ps -o pid,ppid,comm,args | awk -v p=$p -v s=$self '$1 == p { print ($2 == s), $3, $4, $5 }'
ps -o pid,user,group,ruser,rgroup,nice,stat,tty | awk -v p=$p '$1 == p { $1 = "PID"; print }'
ps -o pid,vsz,rss,time,etime | awk -v p=$p '$1 == p { print ($2 != 0), ($3 != 0), $4, $5 ~ /^0:0/ }'
ps -o pid,pgid,sid | awk -v p=$p -v s=$self '$1 == s { g = $2; t = $3 } $1 == p { print ($2 == g), ($3 == t) }'
ps | head -n 1; ps -o pid=number,comm | head -n 1; ps -o none 2>&1
ps | grep -c '[s]leep 1001'; kill $p; wait $p 2> /dev/null; ps | grep -c '[s]leep 1001'
ps w | awk '$1 == 1 { print NF > 4 }'; ps -T | awk -v s=$self '$1 == s' | wc -l

check states
sleep 1002 & p=$!; in_state S $p sleep; kill -STOP $p; in_state T $p; kill -CONT $p; in_state S $p sleep
sh -c 'while :; do :; done' & q=$!; in_state R $q; echo running
sh -c 'sh -c "exit 5" & exec sleep 1003' & r=$!
until ps -o ppid,stat,args | awk -v p=$r '$1 == p { print $2, $3 }' | grep Z; do :; done
kill $p $q $r; wait

check top
sleep 1004 & p=$!
top -b -n 1 > out; head -n 4 out | sed 's/[0-9][0-9.]*/N/g; s/NK/N/g; s/  */ /g; s/ $//'
awk -v p=$p '$1 == p { print ($2 + 0 > 0), $3, $NF, $(NF - 1) }' out
kill $p
top -b -n 2 -d 1 | grep -c '^Mem'

check pgrep
sleep 1005 & p=$!; sleep 1006 & q=$!; in_state S $p sleep; in_state S $q sleep
[ "$(pgrep -f 'sleep 100[5]')" = $p ] && echo by arguments; pgrep -x sleep | wc -l; pgrep -x slee; echo $?
[ "$(pgrep -n sleep)" = $q ] && [ "$(pgrep -o sleep)" = $p ] && echo newest and oldest
pgrep -P $self sleep | wc -l; pgrep -l sleep | cut -d ' ' -f 2-; pgrep -a -f '1006$' | cut -d ' ' -f 2-; pgrep -v -f . | wc -l
[ "$(pidof sleep | tr ' ' '\n' | sort -n | tr '\n' ' ')" = "$(printf '%s\n' $p $q | sort -n | tr '\n' ' ')" ] && echo both
pidof -s sleep | wc -w; pidof -o $p sleep | wc -w; pidof nobody; echo $?
kill $p $q

check pkill
wait 2> /dev/null
for s in 1007 1007 1008; do sleep $s & done; until [ "$(pgrep -f 'sleep 100[78]' | wc -l)" = 3 ]; do :; done
pkill -f 'sleep 100[7]'; echo $?; until [ "$(pgrep -f 'sleep 100[78]' | wc -l)" = 1 ]; do :; done
pkill -KILL -x sleep; echo $?; wait; pkill sleep; echo $?
sh -c 'trap "echo hit; exit" USR1; echo ready > ready; while :; do sleep 0.01; done' & p=$!
until [ -s ready ]; do :; done; pkill -USR1 -f 'trap "echo [h]it'; wait $p; echo $?

check killall
sleep 1009 & sleep 1010 & p=$!; until [ "$(pidof sleep | wc -w)" = 2 ]; do :; done
killall sleep; wait $p 2> /dev/null; echo $?; wait; killall sleep; echo $?; killall -q sleep; echo $?
sleep 1011 & p=$!; until pidof sleep > ids; do :; done; killall -KILL sleep; wait $p 2> /dev/null; echo $?

check tree
sh -c 'sleep 1012 & sleep 1013 & wait' & p=$!; until [ "$(pgrep -x -P $p sleep | wc -l)" = 2 ]; do :; done
pstree $p; pstree -p $p | tr -d '0-9' | tr -s ' '; pkill -P $p; wait

check daemons
start-stop-daemon -S -b -m -p pid -x /bin/sleep -- 1014; echo $?; until [ -s pid ] && pgrep -f '^[^ ]*sleep 101[4]' > id; do :; done; cmp pid id
ps -o pid,ppid,pgid,sid | awk -v p=$(cat pid) '$1 == p { print ($2 != '$self'), ($4 != '$$') }'
start-stop-daemon -S -b -p pid -x /bin/sleep -- 1014 2> said; echo $?; start-stop-daemon -K -p pid -x /bin/sleep > said; echo $?
until ! kill -0 $(cat pid) 2> /dev/null; do :; done; start-stop-daemon -K -p pid 2> said; echo $?
setsid sleep 1015 & until pgrep -f '^sleep 101[5]' > id; do :; done; ps -o pid,pgid,sid | awk -v p=$(cat id) '$1 == p { print ($2 == p), ($3 == p) }'; kill $(cat id)

check memory
free | sed 's/[0-9][0-9]*/N/g; s/  */ /g'; free -m | wc -l
free | awk '$1 == "Mem:" { print ($2 > 0), ($3 + $4 <= $2), ($3 > 0) }'
before=$(free | awk '$1 == "Mem:" { print $3 }'); head -c 30000000 /dev/zero > big; after=$(free | awk '$1 == "Mem:" { print $3 + $5 + $6 }'); [ $((after - before)) -ge 29000 ] && echo more used; rm big

check uptime
uptime | sed 's/^ [0-9:]* up .*,  load average: [0-9.]*, [0-9.]*, [0-9.]*$/as it should be/'
awk '{ print ($1 > 0), NF }' /proc/uptime; a=$(cut -d . -f 1 /proc/uptime); [ "$a" -ge 0 ] && echo a number; nproc | wc -l

check one_in_proc
sleep 1016 & p=$!; in_state S $p sleep; tr '\0' ' ' < /proc/$p/cmdline; echo; cat /proc/$p/comm; readlink /proc/$p/exe
awk -v p=$self '$1 == "PPid:" { print $2 == p } $1 == "State:"' /proc/$p/status; ls -d /proc/$p/task/* | wc -l; ls -ld /proc/$p | awk '{ print $3, $4 }'
kill $p; wait $p 2> /dev/null; ls /proc/$p 2> /dev/null; echo $?
