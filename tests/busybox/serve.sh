# SPDX-License-Identifier: BSD-2-Clause
# `sh serve.sh FILES`: servers for clients of other machines, which xtask's suites know by their ports. When the last one listens, all do.
www=/tmp/www
rm -rf $www; mkdir -p $www/cgi-bin $www/empty
cp -r "$1"/. $www
exec < /dev/null

cat > $www/cgi-bin/facts << 'END'
#!/bin/sh
text="$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $HTTP_X_WORD ${PWD##*/}
"
printf 'Content-type: text/plain\r\nContent-Length: %s\r\n\r\n%s' ${#text} "$text"
END
cat > $www/cgi-bin/back << 'END'
#!/bin/sh
printf 'Content-type: %s\r\nContent-Length: %s\r\n\r\n' "$CONTENT_TYPE" "$CONTENT_LENGTH"
exec cat
END
cat > $www/cgi-bin/sum << 'END'
#!/bin/sh
printf 'Content-type: text/plain\r\nContent-Length: 32\r\n\r\n'
md5sum | head -c 32
END
chmod +x $www/cgi-bin/*

httpd -p 2081 -h $www
tcpsvd -c 30 -b 300 0 2007 cat &
nc -lk -p 2009 -e sh -c 'read x; echo "$((x * x))"' &
udpsvd 0 2010 dd bs=2000 count=1 status=none &
cat > /tmp/inetd.conf << 'END'
2008 stream tcp nowait user /bin/cat cat
2011 dgram udp nowait user /bin/dd dd bs=2000 count=1 status=none
2012 stream tcp nowait user /usr/sbin/httpd httpd -i -h /tmp/www
END
inetd -f -e -q 200 /tmp/inetd.conf &
for port in 2007 2008 2009 2012 2081; do until nc -z 127.0.0.1 $port; do :; done; done
exec httpd -f -p 2080 -h $www
