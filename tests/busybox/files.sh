# SPDX-License-Identifier: BSD-2-Clause
# Files and directories, by the shell's redirections and by the programs for them.

check redirections
echo one > f; echo two >> f; cat f; cat < f | wc -l
echo err 2> e >&2; cat e
ls nothing f > both 2>&1; sed 's/^ls: //' both | sort
exec 3> three; echo a >&3; echo b >&3; exec 3>&-; cat three
exec 4< three; read x <&4; read y <&4; echo $x $y; exec 4<&-
echo 12345 > rw; exec 5<> rw; read x <&5; echo more >&5; exec 5>&-; cat rw
: > empty; wc -c < empty
cat < nothing 2>&1; echo $?
{ echo in; ls nothing; } > o 2> oo; cat o; wc -l < oo
echo over > f; cat f; 3>&1 echo to one >&3 3>&1

check cp_mv_rm
echo data > a; cp a b; cmp a b && echo same; mv b c; ls; rm c; ls; rm c 2>&1; rm -f c; echo $?
mkdir d; cp a d; cp -r d e; ls -R; mv e d/inner; find d | sort; rm -r d; ls
cp a a 2>&1 | head -n 1; cp nothing x 2>&1; mv nothing x 2>&1
echo 1 > x; echo 2 > y; mv x y; cat y; cp -p a p; [ a -nt p ] || [ p -nt a ] || echo same time

check directories
mkdir -p m/n/o; mkdir m 2>&1; rmdir m 2>&1; rmdir -p m/n/o; ls; cd /; pwd; cd - > /dev/null; mkdir -m 700 private; stat -c %a private
mkdir w; cd w; cd ..; cd ./w/../w; pwd | sed 's,.*/files,files,'; cd nothing 2>&1 | sed 's/.*sh: //'

check links
echo target > t; ln t hard; ln -s t soft; ln -s nowhere dangling; cat hard soft; readlink soft; cat dangling 2>&1
stat -c '%h %F' t soft; ls -l soft | sed 's/.* soft/soft/'; [ -L soft ] && [ -e soft ] && [ ! -e dangling ] && [ -L dangling ] && echo tests
[ t -ef hard ] && echo the same; rm t; cat hard; cat soft 2>&1; ln -s loop loop; cat loop 2>/dev/null || echo round and round; readlink -f hard | sed 's,.*/files,files,'
mkdir -p a/b; ln -s a/b short; echo x > short/file; cat a/b/file; realpath short/file | sed 's,.*/files,files,'; ln -sf hard soft; cat soft

check modes
umask 022; touch f; stat -c '%a %A' f; chmod 640 f; stat -c %a f; chmod u+x,g-r,o=w f; stat -c %A f; chmod -w f; stat -c %a f
chmod 600 f; [ -r f ] && [ -w f ] && [ ! -x f ] && echo rw; chmod 444 f; [ -w f ] || echo read-only; echo x 2>/dev/null > f || echo refused
chmod +x f; [ -x f ] && echo executable; umask 077; touch g; stat -c %a g; umask 022

check times
touch -d '2001-02-03 04:05:06' old; stat -c %Y old; date -u -r old '+%F %T'; touch new; [ new -nt old ] && [ old -ot new ] && echo newer
touch -r old copy; [ copy -nt old ] || [ old -nt copy ] || echo same; find . -name '[on]*' -newer old | sort; ls -t | tail -n 1

check sizes
printf 12345 > five; stat -c %s five; wc -c five; truncate -s 100 five; stat -c %s five; tail -c 3 five | od -c | head -n 1; truncate -s 2 five; cat five; echo
dd if=/dev/zero of=big bs=1k count=300 2>/dev/null; ls -s big > /dev/null; stat -c %s big; dd if=/dev/zero of=big bs=1 count=1 seek=999 conv=notrunc 2>/dev/null; stat -c %s big
dd if=big of=part bs=100 skip=2 count=3 2>&1 | head -n 2; stat -c %s part; : > big; stat -c %s big; [ -s big ] || echo empty

check find
mkdir -p t/a/b t/c; touch t/1.c t/a/2.c t/a/b/3.h t/c/4.c; ln -s 1.c t/l; cd t
find . | sort; find . -type d | sort; find . -type l; find . -name '*.c' | sort; find . -name '*.c' -o -name '*.h' | sort; find . -not -name '*.c' -type f
find . -maxdepth 1 -type f; find . -path './a/*' | sort; find . -name b -prune -o -type f -print | sort; find . -type f -exec basename {} \; | sort
find . -empty -type f | wc -l; find . -name 4.c -delete; ls c; find . -depth -type d | tail -n 1; find nothing 2>&1; find . -size -1 -type f | wc -l

check ls
mkdir l; cd l; echo 123 > b; : > a; mkdir d; ln -s b s; touch .h; ls; ls -a; ls -A; ls -1r; ls -F; ls -p; ls -d .; ls d; ls -S a b | head -n 1
ls -l | awk '{ print $1, $2, $5 }' | sed -n '2,$p' | cut -c1-10 | sort | uniq -c | awk '{ print $1, $2 }'; ls -l b | awk '{ print $1, $2, $5, $NF }'; ls -i b > /dev/null; echo $?; ls none 2>&1

check tar
mkdir src; echo one > src/1; echo two > src/2; mkdir src/d; seq 1 1000 > src/d/3; ln -s 1 src/s; chmod 750 src/d
tar cf a.tar src; tar tf a.tar | sort; mkdir out; tar xf a.tar -C out; cmp src/d/3 out/src/d/3 && readlink out/src/s; stat -c %a out/src/d
tar czf a.tgz src; tar tzf a.tgz | wc -l; tar xzf a.tgz -C out src/2 && cat out/src/2; tar cf - src | tar tf - | wc -l; (cd src; tar cf - .) | (mkdir -p o2; cd o2; tar xf -); diff -r src o2 && echo equal
tar xf nothing.tar 2>&1

check archives
seq 1 5000 > n; gzip -k n; gunzip -c n.gz | cmp - n && echo gzip; bzip2 -k n; bunzip2 -c n.bz2 | cmp - n && echo bzip2; gzip -dc n.gz | tail -n 1; zcat n.gz | head -n 1
gzip -c n | wc -c; mkdir c; touch c/x; find c | sort | cpio -o -H newc 2>/dev/null | cpio -t 2>/dev/null; printf 'not gzip' | gunzip 2>&1 | head -n 1; lzop -c n | lzop -dc | cmp - n && echo lzop

check compare
printf 'a\nb\nc\n' > 1; printf 'a\nB\nc\nd\n' > 2; diff 1 2; echo $?; diff -u 1 2 | sed 1,2d; cmp 1 2; diff 1 1; echo $?; diff -q 1 2
diff -u 1 2 > p; cp 1 x; patch x < p; cmp x 2 && echo patched; patch -R x < p; cmp x 1 && echo back; mkdir d e; touch d/f; diff -r d e; comm 1 2

check temporary
f=$(mktemp ./tXXXXXX); [ -f "$f" ] && stat -c %a "$f"; d=$(mktemp -d ./dXXXXXX); [ -d "$d" ] && stat -c %a "$d"; echo x > "$f" && cat "$f"; rm "$f"; rmdir "$d"; ls

check devices
echo x > /dev/null; wc -c < /dev/null; head -c 4 /dev/zero | od -An -tx1; head -c 16 /dev/urandom | wc -c; [ -c /dev/null ] && [ ! -f /dev/null ] && echo character
echo full > /dev/full 2>/dev/null; echo $?; echo out > /dev/stdout; echo out | cat /dev/stdin; echo err 2>&1 > /dev/stderr

check removed_while_open
echo kept > f; exec 3< f; rm f; ls; cat <&3; exec 3<&-; echo x > g; (sleep 0; cat) < g; { rm g; cat; } < g

check append_together
for i in 1 2 3 4; do (n=0; while [ $n -lt 50 ]; do echo "line $i $n" >> log; n=$((n + 1)); done) & done; wait; wc -l < log; sort -u log | wc -l; grep -c '^line 3' log

check du_and_install
mkdir i; printf abc > i/f; install -m 755 i/f i/g; stat -c %a i/g; install -d i/h/k; [ -d i/h/k ] && echo made; du -s i > /dev/null; echo $?; split -l 2 - i/part <<END
1
2
3
END
ls i; cat i/partaa; tac i/g; echo; sync; fsync i/f; echo $?
