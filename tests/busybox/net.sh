# SPDX-License-Identifier: BSD-2-Clause
# Servers and clients on 127.0.0.1: nc, tcpsvd, udpsvd, inetd, httpd, wget, ftpd, tftpd, telnet. Whoever connects tries until the server listens.

# client COMMAND...: until it succeeds; what it says goes to the file `answer`.
client() { until "$@" > answer 2> /dev/null; do :; done; cat answer; }
# datagram TEXT PORT: sent again until an answer to it is in the file `answer`; the client would wait for more.
datagram() {
    : > answer
    until [ -s answer ]; do
        rm -f ended
        { echo "$1" | nc -u 127.0.0.1 "$2" > answer; : > ended; } 2> /dev/null & c=$!
        until [ -s answer ] || [ -e ended ]; do :; done
        pkill -f "^nc -u 127.0.0.1 $2"; wait $c
    done
    cat answer
}

check nc
seq 1 20000 > a; seq 5 30000 > b
nc -l -p 5001 < a > got & p=$!
client nc 127.0.0.1 5001 < b > answer.a; wait $p; echo $?
cmp a answer.a; cmp b got; wc -c < got
nc 127.0.0.1 5001 < /dev/null 2>&1; echo $?

check nc_executes
nc -l -p 5002 -e sh -c 'read x; echo "read $x"; echo "ended"' & p=$!
echo word > word; client nc 127.0.0.1 5002 < word; wait $p; echo $?
nc -l -p 5003 > got & p=$!
until nc 127.0.0.1 5003 -e echo from the client 2> /dev/null; do :; done; wait $p; cat got

check nc_goes_on
nc -lk -p 5004 -e sh -c 'read x; echo $((x * x))' & p=$!
echo 2 > 2; client nc 127.0.0.1 5004 < 2
for i in 3 4 5 6 7 8; do echo $i | nc 127.0.0.1 5004; done
kill $p; wait $p 2> /dev/null; echo $?; nc -z 127.0.0.1 5004; echo $?

check nc_looks
nc -l -p 5005 > got & p=$!
until nc -z 127.0.0.1 5005; do :; done; wait $p; echo $?; wc -c < got
nc -v -n -l -p 5006 -s 127.0.0.1 2> said & p=$!
echo x > x; client nc -s 127.0.0.1 -p 5007 127.0.0.1 5006 < x; wait $p; cat said
nc -o dump -l -p 5008 & p=$!
echo 'hexadecimal dump of a line' > x; client nc 127.0.0.1 5008 < x; wait $p; cat dump
nc -w 1 -l -p 5009; echo $?

check nc_datagrams
nc -u -l -p 5010 -s 127.0.0.1 -e dd bs=2000 count=1 status=none 2> /dev/null & p=$!
datagram ping 5010; wait $p; echo $?
nc -u -l -p 5010 -s 127.0.0.1 -e sh -c 'read x; echo never' 2> /dev/null & p=$!; kill $p; wait $p 2> /dev/null; echo $?
echo lost | nc -u -w 1 127.0.0.1 5010; echo $?

check tcpsvd
tcpsvd 127.0.0.1 5020 cat & p=$!
seq 1 5000 > in; client nc 127.0.0.1 5020 < in | cmp - in && echo echoed
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    { seq $i 3000 | nc 127.0.0.1 5020 > out.$i; } &
    last="$last $!"
done
wait $last; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do seq $i 3000 | cmp - out.$i; done; echo compared
kill $p; wait $p 2> /dev/null; echo $?

check tcpsvd_options
tcpsvd -c 1 127.0.0.1 5021 sh -c 'echo "$PROTO $TCPLOCALADDR ${TCPREMOTEADDR%:*}"' & p=$!
client nc 127.0.0.1 5021 < /dev/null; nc 127.0.0.1 5021 < /dev/null; kill $p; wait $p 2> /dev/null
tcpsvd -C 1:busy 127.0.0.1 5024 sh -c 'echo first; cat' & p=$!
mkfifo hold; client nc 127.0.0.1 5024 < hold > held & c=$!; exec 9> hold; until grep -q first answer 2> /dev/null; do :; done
nc 127.0.0.1 5024 < /dev/null; echo; exec 9>&-; wait $c; until [ "$(nc 127.0.0.1 5024 < /dev/null)" = first ]; do :; done; kill $p
tcpsvd -E 127.0.0.1 5022 env & p=$!
client nc 127.0.0.1 5022 < /dev/null | grep -c ^TCP; kill $p
tcpsvd 127.0.0.1 5023 sh -c 'cat > stored; echo "$(wc -c < stored) stored"' & p=$!
seq 1 30000 > in; client nc 127.0.0.1 5023 < in; cmp in stored; kill $p
wait 2> /dev/null; tcpsvd 127.0.0.1 5023 true & p=$!
client nc 127.0.0.1 5023 < /dev/null; tcpsvd 127.0.0.1 5023 true 2>&1 | sed 's/ already//'; kill $p

check udpsvd
udpsvd 127.0.0.1 5030 dd bs=2000 count=1 status=none 2> /dev/null & p=$!
datagram one 5030; datagram two 5030; datagram three 5030; kill $p; wait $p 2> /dev/null; echo $?
udpsvd 127.0.0.1 5031 sh -c 'echo "$PROTO $UDPLOCALADDR ${UDPREMOTEADDR%:*}"' & p=$!
datagram x 5031; kill $p

check inetd
cat > conf << END
127.0.0.1:5040 stream tcp nowait user /bin/cat cat
127.0.0.1:5041 stream tcp nowait user /bin/sh sh -c read\ x;echo\ got\ \$x
127.0.0.1:5042 dgram udp nowait user /bin/dd dd bs=2000 count=1 status=none
127.0.0.1:5043 dgram udp wait user /bin/dd dd bs=2000 count=1 status=none of=datagram
127.0.0.1:5044 stream tcp nowait.2 user /bin/hostid hostid
END
sed -i '2d' conf
inetd -f -e conf 2> said & p=$!
seq 1 4000 > in; client nc 127.0.0.1 5040 < in | cmp - in && echo echoed
for i in 1 2 3 4 5 6 7 8; do { seq $i 2000 | nc 127.0.0.1 5040 > out.$i; } & last="$last $!"; done
wait $last; for i in 1 2 3 4 5 6 7 8; do seq $i 2000 | cmp - out.$i; done; echo compared
datagram one 5042; datagram two 5042
until [ -s datagram ]; do echo kept | nc -u -w 1 127.0.0.1 5043 2> /dev/null; done; cat datagram
echo '127.0.0.1:5045 stream tcp nowait user /bin/echo echo configured anew' > conf; kill -HUP $p
client nc 127.0.0.1 5045 < /dev/null; nc -z 127.0.0.1 5040; echo $?
kill $p; wait $p; echo $?; cat said

check httpd
mkdir -p www/sub www/cgi-bin; echo '<p>index' > www/index.html; seq 1 50000 > www/long.txt; echo below > www/sub/file.css
httpd -f -p 127.0.0.1:5050 -h www & p=$!
u=http://127.0.0.1:5050
client wget -q -O - $u/; wget -q -O - $u/sub/file.css; wget -q $u/long.txt; cmp long.txt www/long.txt && wc -c < long.txt
wget -q -O - $u/nothing; echo $?; wget -O - $u/nothing 2>&1 | grep -c 'server returned error: HTTP/1.1 404 Not Found'
wget -q -O - $u/sub; echo $?; wget -q --spider $u/long.txt; echo $?; wget -q --spider $u/no; echo $?
wget -S -O /dev/null $u/long.txt 2>&1 | grep -v 'Date:\|Last-Modified\|ETag\|Connecting\|saving\|null' | sed 's/^ *//'
head -c 1000 www/long.txt > part; wget -q -c -O part $u/long.txt; cmp part www/long.txt && echo continued
printf 'GET /long.txt HTTP/1.1\r\nRange: bytes=100-104\r\n\r\n' | nc 127.0.0.1 5050 | tr -d '\r' | grep -v 'Date\|Last\|ETag' | sed 's/^  *//'; echo
printf 'HEAD / HTTP/1.0\r\n\r\n' | nc 127.0.0.1 5050 | tr -d '\r' | grep -v 'Date\|Last\|ETag'
printf 'GET / FTP\r\n\r\n' | nc 127.0.0.1 5050 | head -n 1
last=
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do wget -q -O got.$i $u/long.txt & last="$last $!"; done; wait $last
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do cmp got.$i www/long.txt; done; echo compared; kill $p; wait $p 2> /dev/null; echo $?

check httpd_cgi
mkdir -p www/cgi-bin/more
cat > www/cgi-bin/facts << 'END'
#!/bin/sh
echo "Content-type: text/plain"; echo
echo "$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $REMOTE_ADDR $SERVER_PROTOCOL $GATEWAY_INTERFACE $HTTP_X_WORD ${PWD##*/}"
END
cat > www/cgi-bin/more/length << 'END'
#!/bin/sh
printf 'Status: 201 Made\r\nContent-type: text/plain\r\n\r\n'
cat > body; echo "$REQUEST_METHOD $CONTENT_TYPE $CONTENT_LENGTH $(wc -c < body) $(md5sum < body)"
END
printf '#!/bin/sh\nexit 3\n' > www/cgi-bin/silent; echo no > www/cgi-bin/no; chmod +x www/cgi-bin/facts www/cgi-bin/silent www/cgi-bin/more/length
httpd -p 127.0.0.1:5051 -h www; echo $?; u=http://127.0.0.1:5051/cgi-bin
wget -q -O - --header 'X-Word: of mine' "$u/facts/path/info?a=b&c"; wget -q -O - $u/more/length --post-data 'some words'
seq 1 3000 > body; wget -q -O - $u/more/length --post-file body; md5sum < body
wget -q -O - $u/silent; echo $?; wget -q -O - $u/; echo $?; wget -q -O - $u/no; echo $?
last=
for i in 1 2 3 4 5 6 7 8; do wget -q -O got.$i "$u/facts?$i" & last="$last $!"; done; wait $last; cat got.*
pkill -f 127.0.0.1:5051; echo $?

check httpd_by_others
mkdir www; echo page > www/index.html
tcpsvd 127.0.0.1 5052 httpd -i -h www & p=$!
client wget -q -O - http://127.0.0.1:5052/; wget -q -O - http://127.0.0.1:5052/no; echo $?; kill $p
echo "127.0.0.1:5053 stream tcp nowait user httpd httpd -i -h $PWD/www" > conf; inetd -f -e conf & p=$!
client wget -q -O - http://127.0.0.1:5053/index.html; kill $p
echo 'A:10.
D:*
E404:/missing.html' > deny; httpd -f -p 5054 -c $PWD/deny -h www & p=$!
until wget -O - http://127.0.0.1:5054/ 2>&1 | grep 'HTTP/1.1 403'; do :; done; kill $p
echo '/:user:word' > lock; echo 'E404:missing.html' >> lock; echo missed > www/missing.html; httpd -f -p 127.0.0.1:5055 -c $PWD/lock -r realm -h www & p=$!
client wget -q -O - http://user:word@127.0.0.1:5055/; wget -O - http://user:no@127.0.0.1:5055/ 2>&1 | grep -o 'HTTP/1.1 401.*'; kill $p

check wget_waits
nc -l -p 5060 > got & p=$!
until wget -q -T 1 -O - http://127.0.0.1:5060/x 2> said; [ -s got ]; do :; done; cat said; wait $p; tr -d '\r' < got
wget -q -O - http://127.0.0.1:5061/; echo $?

check ftpd
mkdir files; seq 1 40000 > files/long; echo short > files/short
tcpsvd 127.0.0.1 5070 ftpd -A -w files & p=$!
client ftpget -P 5070 127.0.0.1 - short; ftpget -P 5070 127.0.0.1 long long; cmp long files/long && echo got
ftpput -P 5070 127.0.0.1 put long; cmp long files/put && echo put; ftpget -P 5070 127.0.0.1 x nothing 2>&1 | grep -o '550.*'; kill $p
printf 'SYST\r\nPWD\r\nSIZE long\r\nMKD new\r\nCWD new\r\nPWD\r\nQUIT\r\n' > talk; tcpsvd 127.0.0.1 5071 ftpd -A -w files & p=$!
client nc 127.0.0.1 5071 < talk | tr -d '\r'; kill $p

check tftpd
mkdir files; seq 1 20000 > files/long; echo short > files/short
cd files; udpsvd -E 127.0.0.1 5080 tftpd -c 2> /dev/null & p=$!; cd ..
until tftp -g -r short -l short 127.0.0.1 5080 2> /dev/null; do :; done; cat short
tftp -g -b 1400 -r long -l long 127.0.0.1 5080 2> /dev/null; cmp long files/long && echo got; tftp -p -l long -r put 127.0.0.1 5080 2> /dev/null; echo $?
until cmp -s long files/put; do :; done; echo put; tftp -g -r nothing -l x 127.0.0.1 5080 2>&1; kill $p

check telnet
tcpsvd 127.0.0.1 5090 sh -c 'echo hello; read x; echo "read $x" | tr -d "\r"' 2> /dev/null & p=$!
until nc -z 127.0.0.1 5090; do :; done; : > said
{ echo word; until grep -q read said; do :; done; } | telnet 127.0.0.1 5090 > said 2> /dev/null; grep 'hello\|read' said; kill $p
