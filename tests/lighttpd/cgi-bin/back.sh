# SPDX-License-Identifier: BSD-2-Clause
# Sends back what it gets.
printf 'Status: 201 Created\r\nContent-Type: %s\r\nContent-Length: %s\r\n\r\n' "$CONTENT_TYPE" "$CONTENT_LENGTH"
exec cat
