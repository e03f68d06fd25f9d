# SPDX-License-Identifier: BSD-2-Clause
# The shell's language: what it does within one process, and what it forks for.

check parameters
x=value; y=
echo "$x ${x} ${y:-default} ${y-unset} ${z-unset} ${x:+set}:${y:+set}"
echo "${#x} ${x#v} ${x%e} ${x##*l} ${x%%l*} ${x/al/AL} ${x:1:3}"
echo "${w:=assigned} $w"
( : "${missing:?not there}" ) 2>&1
echo "status $?"

check positional
f() { echo "$# [$1] [$2] [$*] [$@]"; shift; echo "$# $1"; }
f 'a b' c d
set -- 1 2 3; for i; do echo "$i"; done
set -- 'x y' z; for i in "$@"; do echo "<$i>"; done; for i in $*; do echo "($i)"; done

check quoting
a='*'; echo "$a" '$a' \$a "\$a" "a\"b" 'a"b' a\ b
echo "tab:$(printf '\t'):" "$(printf 'line1\nline2\n\n')" end
IFS=:; v=a:b::c; set -- $v; echo $#; unset IFS

check arithmetic
i=5; echo $((i + 2 * 3)) $((i % 3)) $((i << 4)) $((0x1f)) $((i > 4 && i < 6)) $((i++)) $i $((-7 / 2)) $((9223372036854775807))
echo $((i = 3, i * i)) $((!i)) $((~i)) $((1 ? 2 : 3)) $((2 ** 10))
( echo $((1 / 0)) ) 2>&1; echo "status $?"

check conditions
if true; then echo yes; else echo no; fi
if false; then echo yes; elif [ 1 -lt 2 ]; then echo elif; fi
true && echo and; false || echo or; ! false && echo not
[ abc = abc ] && [ abc != abd ] && [ -n x ] && [ -z '' ] && [ 10 -gt 9 ] && [ ! 1 = 2 ] && echo tests
[ 1 = 1 -a 2 = 2 ] && [ 1 = 2 -o 2 = 2 ] && [ \( 1 = 1 \) ] && echo compound
[ 1 -eq x ] 2>/dev/null; echo "status $?"

check loops
for i in 1 2 3 4 5; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done
i=0; while [ $i -lt 3 ]; do i=$((i + 1)); echo "while $i"; done
until [ $i = 0 ]; do i=$((i - 1)); done; echo "until $i"
for i in a b; do for j in 1 2; do [ $j = 2 ] && continue 2; echo $i$j; done; done
n=0; while :; do n=$((n + 1)); [ $n -ge 2000 ] && break; done; echo $n

check case
for w in apple banana cherry 'two words' '' '*'; do
    case $w in
        a*) echo "a: $w" ;;
        *an*|*zz) echo "an: $w" ;;
        [c-d]*) echo "range: $w" ;;
        '') echo empty ;;
        '*') echo star ;;
        *) echo "other: $w" ;;
    esac
done

check functions
fact() { local n=$1; if [ $n -le 1 ]; then echo 1; else echo $((n * $(fact $((n - 1))))); fi; }
fact 10
outer() { local v=in; inner; echo "$v"; }
inner() { v=changed; return 7; }
v=out; outer; echo "$v"; inner; echo "$? $v"
unset -f inner; inner 2>/dev/null; echo $?

check substitution
echo "$(echo a; echo b)" `echo c` "$(echo "$(echo "nested $(echo deep)")")"
x=$(exit 3); echo $?
echo "$(printf 'a\n\n\n')."
words=$(for i in 1 2 3; do echo w$i; done); echo $words
big=$(seq 1 20000); echo ${#big}

check heredocs
who=world
cat <<END
hello $who, $(echo substituted) $((1 + 1)) \$who
END
cat <<'END'
hello $who, $(echo substituted)
END
cat <<-END
	without tabs
	END
cat <<A; cat <<B
first
A
second
B
wc -c <<END
$(seq 1 30000)
END

check subshells
x=1; (x=2; echo $x); echo $x
{ x=3; echo $x; }; echo $x
(exit 5); echo $?
(cd /; pwd); pwd | sed 's,.*/,,'
( ( ( echo deep ) ) )
x=$( (echo a; (echo b; exit 4)); echo $?); echo $x

check options
( set -e; false; echo not reached ); echo "e: $?"
( set -u; echo "$nothing" ) 2>&1; echo "u: $?"
( set -f; echo *.none [a] )
( set -x; echo traced ) 2>&1
( set -o pipefail; false | true; echo $? )
( set -C; echo 1 > noclobber; echo 2 > noclobber ) 2>&1; cat noclobber
set -- -a -b arg rest
while getopts ab: o; do echo "$o $OPTARG"; done; shift $((OPTIND - 1)); echo "$*"

check read
printf 'one two three\nfour\\\nfive\n' | { read a b; echo "$a|$b"; read c; echo "$c"; read d || echo end; }
printf 'a:b:c\n' | { IFS=: read x y z; echo $x $y $z; }
printf 'raw\\n\n' | { read -r x; echo "$x"; }
while read -r n; do s=$((s + n)); done <<END
1
2
3
END
echo "$s"

check eval_and_source
eval 'a=1; b=$a; echo "$b"'
echo 'sourced=$1; echo "in $sourced"; return 4' > lib.sh
. ./lib.sh; echo "$? $sourced"
cmd='echo "two  spaces"'; eval "$cmd"
alias hi='echo hello'; eval 'hi there'
type cat >/dev/null; command -v echo; command -v nothing_of_the_kind || echo none

check printf
printf '%s %d %5.2f %x %o %c %%\n' str 42 3.14159 255 8 char
printf '%-5s|%5s|%05d\n' ab cd 42
printf '%s\n' a b c
printf '%b' 'tab\there\n'
echo -n no newline; echo; echo -e 'a\tb'

check traps
( trap 'echo leaving' EXIT; echo body )
sh -c 'trap "echo got USR1" USR1; kill -USR1 $$; sh -c "kill -USR1 \$PPID"; echo after'
sh -c 'trap "echo term; exit 3" TERM; kill -TERM $$; echo not reached'; echo $?
sh -c 'trap "" INT; kill -INT $$; echo ignored'; echo $?
sh -c 'trap "echo int" INT; trap - INT; kill -INT $$; echo not reached'; echo $?
sh -c 'trap "echo bye" EXIT; exec true'; echo $?
sh -c 'trap "echo bye" EXIT; exit 9'; echo $?

check exec
sh -c 'exec echo replaced; echo not reached'
sh -c 'exec 3>out; echo to three >&3; exec 3>&-; cat out; echo closed >&3' 2>/dev/null; echo $?
nothing_of_the_kind 2>&1; echo $?
echo text > plain; chmod 644 plain; ./plain 2>&1; echo $?
sh -c 'echo $0 $1 $2' name one two

check globs
mkdir g; cd g; touch a.c b.c c.h .hidden 'sp ace' d1 d2 d10
echo *.c; echo ?.h; echo [ab].*; echo d[0-9]; echo d*; echo *' '*; echo .h*; echo nomatch*; echo [!a-c]*
mkdir -p sub/deep; touch sub/x.c sub/deep/y.c; echo */*.c */*/*.c; echo sub/*
for f in *; do echo "<$f>"; done

check environment
X=1 sh -c 'echo $X'; echo "[$X]"
export Y=2; sh -c 'echo $Y'; unset Y; sh -c 'echo "[$Y]"'
env -i A=b /bin/busybox env; env -i /bin/busybox sh -c 'echo ${HOME-no home}'
A=1 B=2 env | grep -E '^[AB]=' | sort
readonly R=1; (R=2) 2>&1; echo "$R"
