// SPDX-License-Identifier: BSD-2-Clause
// UDP on 127.0.0.1, each step in one word.
#pragma once

#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

// An address of IPv4, as numbers.
struct sockaddr_in in_address(uint32_t ip, uint16_t port);
#define AT(ip, port) ((const struct sockaddr *)&(const struct sockaddr_in[]){in_address(ip, port)}), sizeof(struct sockaddr_in)

// A datagram socket; `flags` may be SOCK_NONBLOCK and SOCK_CLOEXEC.
int new_udp(int flags);

// The same, nonblocking, bound to a free port of 127.0.0.1, or of an address.
int bound_udp(void);
int bound_udp_at(uint32_t ip);

// Two nonblocking ones, connected to each other.
struct duo {
    int a, b;
};
struct duo udp_pair(void);

// A port of 127.0.0.1 that nobody has.
uint16_t unused_port(void);

// Sends a string to a port of 127.0.0.1, or fails the check.
void say(int fd, const char *text, uint16_t port);

// Receives a datagram, waiting for it, and fails unless it is this string; the port that it came from.
uint16_t hear(int fd, const char *text);

// What a nonblocking receive says: bytes, or minus its errno.
int heard_now(int fd);
