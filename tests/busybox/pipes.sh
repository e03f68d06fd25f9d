# SPDX-License-Identifier: BSD-2-Clause
# Several processes and what lies between them.

check two
echo hello | cat
echo hello | tr a-z A-Z
printf 'c\na\nb\n' | sort | head -n 2

check long
echo x | cat | cat | cat | cat | cat | cat | cat | cat | cat | cat
seq 1 100 | grep 7 | sed 's/7/seven/' | awk '{ print NR ": " $0 }' | tail -n 3 | tr a-z A-Z

check much
seq 1 200000 | cksum
seq 1 100000 | sort -rn | head -n 1000 | sort -n | md5sum
dd if=/dev/zero bs=64k count=64 2>/dev/null | wc -c
dd if=/dev/zero bs=1000 count=3000 2>/dev/null | tr '\000' x | cat | cat | sha256sum

check reader_leaves
yes | head -n 3
(yes; echo $? >&2) 2>status | head -n 1; cat status
seq 1 1000000 | sed 2q
{ seq 1 100000; echo $? > status; } | true; [ "$(cat status)" = 141 ] && echo broken pipe

check status
true | false; echo $?; false | true; echo $?; ! true | false; echo $?
exit_with() { return $1; }
exit_with 3 | exit_with 4; echo $?
sh -c 'exit 200' | sh -c 'exit 17'; echo $?

check compound
{ echo a; echo b; } | while read x; do echo "got $x"; done
(echo 1; echo 2) | { read x; read y; echo $((x + y)); }
for i in 3 1 2; do echo $i; done | sort | while read x; do echo $x; done
f() { while read l; do echo "f:$l"; done; }; seq 1 3 | f | tac

check tee
echo data | tee t1 t2 | wc -c; cat t1 t2
seq 1 5 | tee all | head -n 1; wc -l < all

check errors_too
{ echo out; echo err >&2; } 2>&1 | sort
ls nothing_there 2>&1 >/dev/null | sed 's/^ls: //'
{ echo out; echo err >&2; } 2>&1 >/dev/null | cat

check stdin_of_stages
printf 'a\nb\nc\n' | { head -n 1; cat >/dev/null; }
echo outer | sh -c 'cat; echo inner | cat'
echo x | (cat; cat) | wc -l

check process_substitutes
cat > script <<'END'
#!/bin/busybox sh
cat | sort | uniq -c | awk '{print $2 "=" $1}'
END
printf '%s\n' b a b c b a | sh script

check background
seq 1 3 | cat > bg & wait $!; cat bg
{ until [ -e go ]; do :; done; echo late; } | cat & p=$!; echo early; : > go; wait $p
(seq 1 5000 | sort -n | tail -n 1 > r1) & (seq 1 4000 | sort -n | tail -n 1 > r2) & wait; cat r1 r2

check xargs
seq 1 20 | xargs echo
seq 1 7 | xargs -n 3 echo args:
printf 'a b\0c d\0' | xargs -0 -n 1 echo
printf '%s\n' x y z | xargs -I@ echo "<@>"
seq 1 6 | xargs -P 3 -n 1 sh -c 'echo $0' | sort
printf '1\n2\n' | xargs -n 1 sh -c 'exit $0'; echo $?
echo | xargs echo none; : | xargs -r echo not run

check find_xargs
mkdir -p tree/a tree/b/c; for f in tree/1 tree/a/2 tree/b/3 tree/b/c/4; do echo "$f" > $f; done
find tree -type f | sort | xargs cat
find tree -type f -print0 | sort -z | xargs -0 wc -c | tail -n 1
find tree -name '[12]' | xargs grep -l tree | sort
find tree -type f -exec grep -H tree {} + | sort

check many_processes
i=0; while [ $i -lt 40 ]; do (exit 0); i=$((i + 1)); done; echo $i forks
i=0; while [ $i -lt 20 ]; do /bin/busybox true; i=$((i + 1)); done; echo $i programs
i=0; while [ $i -lt 10 ]; do (echo $i > many.$i) & i=$((i + 1)); done; wait; cat many.* | tr '\n' ' '; echo

check named
mkfifo p; [ -p p ] && echo fifo; cat p & echo through it > p; wait $!
mkfifo q; (seq 1 5000 > q) & sort -rn < q | head -n 1; wait; mkfifo p 2>&1
(read x < p; read y < q; echo "$y $x" > both) & echo one > p; echo two > q; wait; cat both; stat -c '%F %s' p; rm p q; ls
