# SPDX-License-Identifier: BSD-2-Clause
# Programs that read, change and write text.

check grep
printf 'apple\nBanana\ncherry\nbanana split\n' > f; grep an f; grep -i BAN f; grep -c an f; grep -n c f; grep -v an f; grep -x cherry f; grep -w split f; grep -l an f; grep -o 'an' f; grep -E '^(a|c)' f; grep -F '.' f; echo $?; grep -A 1 -n apple f; grep -q cherry f && echo quiet; grep -e app -e che f; echo 'a.b' | grep 'a\.b'; grep '[[:upper:]]' f; grep -r an . | sort; grep x nothing 2>&1; echo $?; egrep 'a{1}n+' f; printf 'x\n' | grep -c y

check sed
seq 1 6 > n; sed -n 2,4p n; sed 3d n | tr '\n' ' '; echo; sed 's/[0-9]/<&>/' n | head -n 2; sed -e '2i\' -e 'inserted' -e '3a appended' n | head -n 6; sed '/3/,/5/d' n; sed -n '$p' n; sed '2!d' n; echo aaa | sed 's/a/b/2'; echo aaa | sed 's/a/b/g'; echo 'John Smith' | sed -E 's/(\w+) (\w+)/\2, \1/'; sed '=' n | head -n 4; sed 'N;s/\n/-/' n; sed y/123/abc/ n | head -n 3; sed -i 's/1/one/' n; head -n 1 n; sed -n '/4/{p;q}' n; printf 'a\nb\n' | sed ':x;N;$!bx;s/\n/,/g'; sed 'x;G;1d' n | head -n 3; sed 's,x,y' n 2>&1 | head -n 1

check awk
printf 'ann 30\nbob 25\ncat 35\n' > p; awk '{ print $1 }' p; awk '$2 > 26 { print $1, $2 }' p; awk '{ s += $2 } END { print s, s / NR }' p; awk -F: -v OFS=- '{ print $1, $2 }' <<END
a:b:c
END
awk 'BEGIN { for (i = 0; i < 3; i++) printf "%d%s", i, i < 2 ? "," : "\n" }'; awk '{ c[length($1)]++ } END { for (k in c) print k, c[k] }' p; awk 'NR == 2, NR == 3' p; awk '{ $2 = ""; print }' p; awk 'BEGIN { print substr("hello", 2, 3), index("hello", "l"), toupper("x"), length("four") }'; awk 'BEGIN { n = split("a b c", a); print n, a[3] }'; awk '{ gsub(/[aeiou]/, "*"); print }' p; awk 'function f(n) { return n < 2 ? n : f(n - 1) + f(n - 2) } BEGIN { print f(15) }'; awk 'BEGIN { printf "%.4f %.4f %.4f\n", sin(1), exp(1), sqrt(2) }'; awk 'BEGIN { while (("echo a; echo b" | getline x) > 0) print "got " x; print "sorted" | "sort"; print "also" | "sort" }'; awk 'BEGIN { print length(ENVIRON["PATH"]) > 0; system("echo from system"); exit 3 }'; echo $?; awk '/b/ { next } { print NR }' p; awk 'BEGIN { print 1e6, 0.1 + 0.2, 100000 * 100000, 7 % 3, 2 ^ 10 }'; awk 'match($0, /[0-9]+/) { print RSTART, RLENGTH }' p

check sort
printf '10\n9\n2\n1\n' > n; sort n | tr '\n' ' '; sort -n n | tr '\n' ' '; sort -rn n | tr '\n' ' '; echo; printf 'b 1\na 2\na 1\n' | sort -k1,1 -k2,2n; printf 'x:3\ny:1\n' | sort -t: -k2; printf 'a\nB\nc\n' | sort -f; printf 'a\na\nb\n' | sort -u; sort -c n 2>&1 | head -n 1; sort -o n n; head -n 1 n

check uniq
printf 'a\na\nb\na\n' > u; uniq u; uniq -c u | awk '{ print $1, $2 }'; uniq -d u; uniq -u u; sort u | uniq -c | sort -rn | awk '{ print $2 }'

check cut_tr_paste
echo a:b:c | cut -d: -f2; echo a:b:c | cut -d: -f1,3; echo abcdef | cut -c2-4; echo hello | tr el ip; echo hello | tr -d l; echo aabbcc | tr -s a-c; echo abc | tr a-c A-C; echo 'a b' | tr '[:space:]' _; echo; printf '1\n2\n' > l; printf 'a\nb\n' > r; paste l r; paste -s -d+ l; printf 'x y\n' | expand; printf 'a\tb\n' | expand -t 4; echo abcdefgh | fold -w 3; echo one two three | fold -s -w 8

check head_tail
seq 1 30 > n; head n | tail -n 1; head -n 2 n; head -c 5 n; tail -n 2 n; tail -n +29 n; tail -c 3 n; head -n -28 n; wc n; wc -l n; echo 'a b  c' | wc -w; printf 'abc' | wc -c; tac n | head -n 1; rev <<END
abc
END
nl l 2>/dev/null; printf 'a\n\nb\n' | nl | tr '\t' '|'; seq 5 -2 1; seq -w 8 10; seq -s, 1 4

check dumps
printf 'AB\001\377\n' > b; od -c b; od -An -tx1 b; od -An -td2 -N2 b; hexdump -C b; xxd b; xxd -p b; echo 41420a | xxd -r -p; strings -n 2 b; printf 'hello world' | base64; echo aGVsbG8= | base64 -d; echo; printf abc | base32; uuencode -m x < b; uuencode x < b | uudecode -o - | cmp - b && echo uu; cat -v b; printf 'a\tb\n' | cat -A; printf '1\n2\n' | cat -n

check sums
printf abc > f; md5sum f; sha1sum f; sha256sum f; sha512sum f; sha3sum f; cksum f; crc32 f; sum f; md5sum f > s; md5sum -c s; echo x >> f; md5sum -c s 2>&1 | head -n 1

check numbers
expr 1 + 2; expr 7 / 2; expr 3 \* 4; expr abc : 'a\(.\)'; expr length hello; expr 1 = 2; echo $?; factor 360 97; echo '2^64; 10/3; scale=5; 10/3; sqrt(2)' | bc; echo '5 3 + p' | dc; printf '%d\n' 0x10; seq 3 | paste -s -d+ | bc; ascii | head -n 1 | cut -c1-8; printf 'define f(n) { if (n < 2) return 1; return n * f(n - 1); }\nf(20)\n' | bc; shuf -i 1-10 | sort -n | tr '\n' ' '; echo

check dates
date -u -d @0 '+%Y-%m-%d %H:%M:%S %a %b %j'; date -u -d '2024-02-29 12:34:56' +%s; date -u -d @1700000000; TZ=EST5EDT,M3.2.0,M11.1.0 date -d @1700000000 '+%H %Z'; date -u -d 2000.01.01-00:00:00 +%A; cal 2 2024; date -d nonsense 2>&1; [ $(date +%s) -gt 1700000000 ] && echo after 2023; date -u -I -d @86400

check paths
basename /a/b/c.txt .txt; dirname /a/b/c; basename /; dirname x; echo /a/../b | sed 's,/[^/]*/\.\.,,'; which cat; which nothing_of_the_kind; echo $?; readlink -f /bin/../bin/busybox; realpath /tmp/../tmp

check ed
printf 'one\ntwo\nthree\n' > f; printf '2d\n$a\nfour\n.\n1s/one/ONE/\nw\nq\n' | ed -s f 2>/dev/null || printf '2d\n$a\nfour\n.\n1s/one/ONE/\nw\nq\n' | ed f; cat f

check vi
printf 'first\nsecond\n' > f; printf ':2d\r:1s/first/FIRST/\r:wq\r' | TERM=dumb vi f > /dev/null 2>&1; cat f

check misc
yes x | head -n 2; dos2unix <<END | od -c | head -n 1
a
END
printf 'k=v\n' | sed 's/=.*//'; getopt -o ab: -- -a -b x y; env | grep -c '^PATH='; printenv PATH > /dev/null && echo path; true; echo $?; false; echo $?; test -d / && echo dir; [ x = x ] && echo bracket; uname -s > /dev/null && echo uname; ts < /dev/null; ipcalc -n 10.1.2.3/8; mkpasswd -m md5 -S saltsalt secret; cryptpw -m sha256 -S saltsalt secret; unix2dos <<END | od -An -c
x
END
busybox | head -n 1 | cut -c1-9; busybox nothing_of_the_kind 2>&1; script=$(printf 'echo $((6*7))'); sh -c "$script"; echo 'puts' | hush -c 'read x; echo "hush: $x"'; hush -c 'for i in 1 2; do echo $i | cat; done'
