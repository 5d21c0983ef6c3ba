/* SPDX-License-Identifier: MIT */
/* evhttp behind our own types. Knows HTTP as far as one GET; refuses to know what the document
 * says. */
#include "loop/http.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>

#include <stdlib.h>
#include <unistd.h>

enum {
	BODY_MAX = 4 * 1024 * 1024,
	HEADERS_MAX = 8192, /* of a request */
	TIMEOUT_S = 10,
};

struct loop_http {
	struct evhttp *http;
	const char *type;
	loop_http_cb *cb;
	void *arg;
};

static void on_get(struct evhttp_request *request, void *arg)
{
	struct loop_http *h = arg;
	struct buf body;
	struct evbuffer *out = evbuffer_new();
	buf_init(&body, BODY_MAX);
	h->cb(h->arg, &body);
	struct slice text = buf_slice(&body);
	if (out != NULL && buf_ok(&body) && evbuffer_add(out, text.p, text.n) == 0) {
		evhttp_add_header(evhttp_request_get_output_headers(request), "Content-Type",
				  h->type);
		evhttp_send_reply(request, HTTP_OK, "OK", out);
	} else {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	}
	if (out != NULL)
		evbuffer_free(out);
	buf_free(&body);
}

struct loop_http *loop_http_new(struct loop *l, int fd, const char *path, const char *type,
				loop_http_cb *cb, void *arg)
{
	struct loop_http *h = calloc(1, sizeof(*h));
	int copy = dup(fd); /* evhttp closes what it listens on */
	if (h == NULL || copy < 0)
		goto failed;
	*h = (struct loop_http){
	    .http = evhttp_new(loop_event_base(l)), .type = type, .cb = cb, .arg = arg};
	if (h->http == NULL || evhttp_set_cb(h->http, path, on_get, h) != 0 ||
	    evhttp_accept_socket(h->http, copy) != 0)
		goto failed;
	evhttp_set_allowed_methods(h->http, EVHTTP_REQ_GET);
	evhttp_set_max_headers_size(h->http, HEADERS_MAX);
	evhttp_set_max_body_size(h->http, 0);
	evhttp_set_timeout(h->http, TIMEOUT_S);
	return h;
failed:
	if (copy >= 0)
		close(copy);
	loop_http_free(&h);
	return NULL;
}

void loop_http_free(struct loop_http **h)
{
	if (*h == NULL)
		return;
	if ((*h)->http != NULL)
		evhttp_free((*h)->http);
	free(*h);
	*h = NULL;
}
