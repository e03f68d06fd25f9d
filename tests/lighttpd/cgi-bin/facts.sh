# SPDX-License-Identifier: BSD-2-Clause
# Says what it was asked.
text="$REQUEST_METHOD $SCRIPT_NAME $PATH_INFO $QUERY_STRING $HTTP_X_WORD ${PWD##*/}
"
printf 'Content-Type: text/plain\r\nContent-Length: %s\r\n\r\n%s' ${#text} "$text"
