// SPDX-License-Identifier: BSD-2-Clause
// HTTP as far as a server of files needs it: RFC 9112, sections 2 to 6 and 9.
#include "http.h"

#include <string.h>
#include <strings.h>

// A piece of the input.
struct text {
    const char *at;
    size_t size;
};

static bool equals(struct text t, const char *word)
{
    return t.size == strlen(word) && strncasecmp(t.at, word, t.size) == 0;
}

// A character that names of methods and fields are made of.
static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

// Takes one line off the input, without its end. False if the end is not there yet.
static bool take_line(struct text *input, struct text *line)
{
    const char *end = memchr(input->at, '\n', input->size);
    if (!end)
        return false;
    line->at = input->at;
    line->size = (size_t)(end - input->at);
    input->size -= line->size + 1;
    input->at = end + 1;
    if (line->size && line->at[line->size - 1] == '\r')
        line->size--;
    return true;
}

// Takes everything up to `separator` off the text, and the separator.
static struct text take_until(struct text *text, char separator)
{
    const char *end = text->size ? memchr(text->at, separator, text->size) : NULL;
    const size_t size = end ? (size_t)(end - text->at) : text->size;
    const struct text taken = {text->at, size};
    const size_t skip = end ? size + 1 : size;
    text->at += skip;
    text->size -= skip;
    return taken;
}

static struct text trimmed(struct text t)
{
    while (t.size && (*t.at == ' ' || *t.at == '\t'))
        t.at++, t.size--;
    while (t.size && (t.at[t.size - 1] == ' ' || t.at[t.size - 1] == '\t'))
        t.size--;
    return t;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int parse_target(const char *target, size_t size, char *path)
{
    struct text t = {target, size};
    if (size > 7 && strncasecmp(target, "http://", 7) == 0) {
        t.at += 7;
        t.size -= 7;
        while (t.size && *t.at != '/')
            t.at++, t.size--;
    }
    t = take_until(&t, '#');
    t = take_until(&t, '?');
    if (!t.size || *t.at != '/')
        return 400;

    size_t length = 0;
    for (size_t i = 0; i < t.size; i++) {
        char c = t.at[i];
        if (c == '%') {
            const int high = i + 2 < t.size ? hex_digit(t.at[i + 1]) : -1;
            const int low = i + 2 < t.size ? hex_digit(t.at[i + 2]) : -1;
            if (high < 0 || low < 0)
                return 400;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (is_control(c))
            return 400;
        path[length++] = c;
    }
    path[length] = 0;

    for (const char *segment = path; segment; segment = strchr(segment, '/')) {
        segment++;
        if (segment[0] == '.' && segment[1] == '.' && (segment[2] == '/' || segment[2] == 0))
            return 403;
    }
    return 200;
}

// The first line: method, target and version.
static int parse_request_line(struct text line, struct request *request)
{
    const struct text method = take_until(&line, ' ');
    const struct text target = take_until(&line, ' ');
    const struct text version = line;

    if (!method.size || !target.size)
        return 400;
    for (size_t i = 0; i < method.size; i++)
        if (!is_token(method.at[i]))
            return 400;
    // "HTTP/", a digit, a dot, a digit.
    if (version.size != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
        return 400;
    const char major = version.at[5], minor = version.at[7];
    if (major < '0' || major > '9' || minor < '0' || minor > '9')
        return 400;
    if (major != '1')
        return 505;

    // Methods are case-sensitive.
    request->head_only = method.size == 4 && memcmp(method.at, "HEAD", 4) == 0;
    request->known_method =
        request->head_only || (method.size == 3 && memcmp(method.at, "GET", 3) == 0);
    request->keep_alive = minor != '0';
    request->has_body = false;
    // What the target of an unknown method means is unknown too.
    return request->known_method ? parse_target(target.at, target.size, request->path) : 200;
}

// One header field. Returns 200 or 400.
static int parse_field(struct text line, struct request *request, unsigned *hosts)
{
    struct text value = line;
    const struct text name = take_until(&value, ':');
    if (!name.size || name.size == line.size)
        return 400;
    for (size_t i = 0; i < name.size; i++)
        if (!is_token(name.at[i]))
            return 400;
    for (size_t i = 0; i < value.size; i++)
        if (is_control(value.at[i]) && value.at[i] != '\t')
            return 400;
    value = trimmed(value);

    if (equals(name, "Host")) {
        ++*hosts;
    } else if (equals(name, "Connection")) {
        while (value.size) {
            const struct text option = trimmed(take_until(&value, ','));
            if (equals(option, "close"))
                request->keep_alive = false;
            else if (equals(option, "keep-alive"))
                request->keep_alive = true;
        }
    } else if (equals(name, "Content-Length")) {
        request->has_body |= !equals(value, "0");
    } else if (equals(name, "Transfer-Encoding")) {
        request->has_body = true;
    }
    return 200;
}

int parse_request(const char *data, size_t size, struct request *request, size_t *used)
{
    struct text input = {data, size}, line;
    *used = 0;
    // Some clients send an empty line behind a body.
    while (input.size && (*input.at == '\r' || *input.at == '\n'))
        input.at++, input.size--;

    const char *start = input.at;
    const size_t available = input.size;
    if (!take_line(&input, &line)) {
        if (available >= REQUEST_LINE_MAX)
            return 414;
        for (size_t i = 0; i < available; i++)
            if (is_control(start[i]) && !(start[i] == '\r' && i + 1 == available))
                return 400;
        return size >= HEAD_MAX ? 431 : INCOMPLETE;
    }
    if (line.size >= REQUEST_LINE_MAX)
        return 414;
    const bool old = line.size >= 8 && memcmp(line.at + line.size - 8, "HTTP/1.0", 8) == 0;
    const int status = parse_request_line(line, request);
    // A path that is refused is refused when the rest of the head is here: the connection can
    // go on then.
    if (status == 400 || status == 505)
        return status;

    unsigned hosts = 0;
    for (;;) {
        if (!take_line(&input, &line))
            return size >= HEAD_MAX ? 431 : INCOMPLETE;
        if (!line.size)
            break;
        const int field = parse_field(line, request, &hosts);
        if (field != 200)
            return field;
    }
    if (hosts > 1 || (hosts == 0 && !old))
        return 400;
    *used = (size_t)(input.at - data);
    return status;
}

const char *reason(int status)
{
    switch (status) {
    case 200: return "OK";
    case 301: return "Moved Permanently";
    case 400: return "Bad Request";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 414: return "URI Too Long";
    case 431: return "Request Header Fields Too Large";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

const char *media_type(const char *path)
{
    static const struct {
        const char *suffix, *type;
    } types[] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".json", "application/json"},
        {".txt", "text/plain; charset=utf-8"},
        {".md", "text/plain; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".png", "image/png"},
        {".jpg", "image/jpeg"},
        {".gif", "image/gif"},
        {".ico", "image/x-icon"},
        {".pdf", "application/pdf"},
        {".wasm", "application/wasm"},
    };
    const char *name = strrchr(path, '/');
    const char *suffix = strrchr(name ? name : path, '.');
    for (size_t i = 0; suffix && i < sizeof types / sizeof *types; i++)
        if (strcasecmp(suffix, types[i].suffix) == 0)
            return types[i].type;
    return "application/octet-stream";
}
