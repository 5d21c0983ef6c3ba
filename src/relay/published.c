/* SPDX-License-Identifier: MIT */
/* From the configuration to names, domains and public chains. Knows files; refuses to keep keys. */
#include "relay/published.h"

#include "idn/idn.h"
#include "base/cursor.h"
#include "loop/loop.h"
#include "relay/channel.h"
#include "relay/network.h"
#include "sandbox/sandbox.h"
#include "wire/dname.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	PUBLISHED_MEM_MAX = 8 * 1024 * 1024,
	CERTSET_TEXT_MAX = 64 * 1024 * 1024,
	TROUBLE_ROOM = 512,
	TEXT_ROOM = 300
};

/* --- Names --- */

/* The host of HOST or HOST:PORT in A-labels (D10). */
static bool target_from(const char *text, struct selfcheck_target *out)
{
	char host[TEXT_ROOM], ascii[TEXT_ROOM];
	const char *colon = strrchr(text, ':');
	size_t n = colon != NULL ? (size_t)(colon - text) : strlen(text);
	if (n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	if (idn_to_ascii(host, ascii, sizeof(ascii)) != IDN_OK)
		return false;
	n = strlen(ascii);
	snprintf(ascii + n, sizeof(ascii) - n, "%s", colon != NULL ? colon : "");
	return selfcheck_target_from_text(slice_str(ascii), out);
}

static size_t count(const char *const *list)
{
	size_t n = 0;
	while (list[n] != NULL)
		n++;
	return n;
}

/* Nobody publishes what only this machine can reach. */
static bool listens_to_others(const struct conf *c)
{
	static const char *const own[] = {"127.0.0.0/8", "::1"};
	for (size_t i = 0; c->relay_smtp[i] != NULL; i++) {
		struct ipaddr address;
		struct network network;
		uint16_t port;
		bool mine = false;
		if (!endpoint_from_text(c->relay_smtp[i], &address, &port))
			continue;
		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			mine = mine || (network_from_text(own[k], &network) &&
					network_has(&network, &address));
		if (!mine)
			return true;
	}
	return false;
}

bool published_any(const struct conf *c)
{
	return c->selfcheck_names[0] != NULL ||
	       (c->relay_certificate[0] != NULL && c->smtp_helo != NULL && listens_to_others(c));
}

/* smtp.helo is what a relay with a certificate calls itself to everybody. */
static bool add_default(struct published *p, const struct conf *c)
{
	if (!published_any(c))
		return true;
	/* A name that is none was never published. */
	if (target_from(c->smtp_helo, &p->target[0]))
		p->ntarget = 1;
	return true;
}

static bool add_names(struct published *p, const struct conf *c, char *error, size_t room)
{
	size_t n = count(c->selfcheck_names);
	p->target = arena_array(&p->mem, n + 1, sizeof(*p->target));
	if (p->target == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!target_from(c->selfcheck_names[i], &p->target[i])) {
			snprintf(error, room, "selfcheck.names: '%s' is not HOST or HOST:PORT",
				 c->selfcheck_names[i]);
			return false;
		}
		p->ntarget++;
	}
	return n > 0 || add_default(p, c);
}

static bool add_domains(struct published *p, const struct conf *c, char *error, size_t room)
{
	size_t n = count(c->selfcheck_domains);
	p->domain = arena_array(&p->mem, n + 1, sizeof(*p->domain));
	for (size_t i = 0; p->domain != NULL && i < n; i++) {
		char ascii[TEXT_ROOM];
		if (idn_to_ascii(c->selfcheck_domains[i], ascii, sizeof(ascii)) != IDN_OK ||
		    !hostname_is_valid(slice_str(ascii))) {
			snprintf(error, room, "selfcheck.domains: '%s' is not a domain",
				 c->selfcheck_domains[i]);
			return false;
		}
		p->domain[p->ndomain++] = arena_strdup(&p->mem, ascii);
	}
	return p->domain != NULL;
}

bool published_load(struct published *p, const struct conf *c, char *error, size_t room)
{
	*p = (struct published){.ntarget = 0};
	arena_init(&p->mem, PUBLISHED_MEM_MAX);
	snprintf(error, room, "out of memory");
	bool ok = add_names(p, c, error, room) && add_domains(p, c, error, room) && !p->mem.failed;
	if (!ok)
		published_free(p);
	return ok;
}

void published_free(struct published *p)
{
	arena_free(&p->mem);
	*p = (struct published){.ntarget = 0};
}

/* --- Chains --- */

static bool load_server(struct certset *s, const struct slice *pem, char *error, size_t room)
{
	struct tls_server_cert *cert = calloc(s->n + 1, sizeof(*cert));
	if (cert == NULL) {
		snprintf(error, room, "out of memory");
		return false;
	}
	for (size_t i = 0; i < s->n; i++) {
		cert[i].chain_file = s->file[i];
		if (pem != NULL)
			cert[i].chain_pem = pem[i];
	}
	struct tls_server_config c = {.cert = cert, .ncert = s->n, .public_only = true};
	s->server = tls_server_new(&c, loop_wall_s(), error, room);
	free(cert);
	return s->server != NULL;
}

/* Each by itself, so that the trouble has its file. */
static bool look_at_key(struct certset *s, const struct conf *c, size_t i, size_t nkeys)
{
	char error[TROUBLE_ROOM] = "";
	struct tls_server_cert cert = {.chain_file = s->file[i],
				       .key_file = i < nkeys ? c->relay_key[i] : s->file[i]};
	struct tls_server_config one = {.cert = &cert, .ncert = 1};
	/* By hand, as somebody who may not read keys: then the chain is all that can be judged. */
	if (access(cert.key_file, R_OK) != 0 && errno == EACCES)
		return true;
	struct tls_server *t = tls_server_new(&one, loop_wall_s(), error, sizeof(error));
	if (t == NULL)
		s->key_trouble[i] = strdup(error);
	bool ok = t != NULL || s->key_trouble[i] != NULL;
	tls_server_free(&t);
	return ok;
}

static bool look_at_keys(struct certset *s, const struct conf *c, char *error, size_t room)
{
	size_t nkeys = count(c->relay_key);
	s->key_trouble = calloc(s->n + 1, sizeof(*s->key_trouble));
	bool ok = s->key_trouble != NULL;
	for (size_t i = 0; ok && i < s->n; i++)
		ok = look_at_key(s, c, i, nkeys);
	if (!ok)
		snprintf(error, room, "out of memory");
	return ok;
}

bool certset_load(struct certset *s, const struct conf *c, bool keys, char *error, size_t room)
{
	*s = (struct certset){.file = c->relay_certificate, .n = count(c->relay_certificate)};
	if (s->n == 0)
		return true;
	bool ok = load_server(s, NULL, error, room) && (!keys || look_at_keys(s, c, error, room));
	if (!ok)
		certset_free(s);
	return ok;
}

/* --- In another process --- */

/* ok, then of each certificate its chain as PEM and what is wrong with its key; or the error. */
static void put_certset(struct buf *out, const struct certset *s, const char *error)
{
	put_str(out, error);
	for (size_t i = 0; error == NULL && i < s->n; i++) {
		struct buf pem;
		buf_init(&pem, TLS_SERVER_FILE_MAX);
		tls_chain_to_pem(tls_server_chain(s->server, i), &pem);
		put_bytes(out, buf_slice(&pem));
		put_str(out, s->key_trouble[i]);
		buf_free(&pem);
	}
}

_Noreturn static void load_and_tell(const struct conf *c, int fd)
{
	char error[TROUBLE_ROOM] = "";
	struct certset s = {.n = 0};
	struct buf out;
	buf_init(&out, CERTSET_TEXT_MAX);
	bool ok =
	    sandbox_seal(error, sizeof(error)) && certset_load(&s, c, true, error, sizeof(error));
	put_certset(&out, &s, ok ? NULL : error);
	struct slice rest = buf_slice(&out);
	while (buf_ok(&out) && rest.n > 0) {
		ssize_t n = write(fd, rest.p, rest.n);
		if (n <= 0)
			break;
		rest = slice_from(rest, (size_t)n);
	}
	_exit(buf_ok(&out) && rest.n == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

static bool read_told(int fd, pid_t pid, struct buf *out)
{
	int status = 0;
	ssize_t n = 1;
	while (n > 0) {
		uint8_t *p = buf_reserve(out, 65536);
		n = p != NULL ? read(fd, p, 65536) : -1;
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
	if (n < 0)
		kill(pid, SIGKILL);
	pid_t got;
	while ((got = waitpid(pid, &status, 0)) < 0 && errno == EINTR)
		continue;
	return n == 0 && got == pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS;
}

static bool get_certset(struct certset *s, const struct conf *c, struct slice text, char *error,
			size_t room)
{
	struct slice pem[TLS_SERVER_CERTS_MAX];
	const char *trouble[TLS_SERVER_CERTS_MAX];
	size_t n = count(c->relay_certificate);
	struct arena mem;
	struct cursor k = cursor_make(text);
	arena_init(&mem, CERTSET_TEXT_MAX);
	const char *why = get_str(&k, &mem);
	for (size_t i = 0; why == NULL && i < n && i < TLS_SERVER_CERTS_MAX; i++) {
		pem[i] = get_bytes(&k);
		trouble[i] = get_str(&k, &mem);
	}
	bool ok = why == NULL && !k.failed && n <= TLS_SERVER_CERTS_MAX;
	if (!ok)
		snprintf(error, room, "%s", why != NULL ? why : "not understood");
	ok = ok && certset_from_pem(s, c, pem, n, error, room);
	if (ok)
		s->key_trouble = calloc(n + 1, sizeof(*s->key_trouble));
	for (size_t i = 0; ok && s->key_trouble != NULL && i < n; i++)
		s->key_trouble[i] = trouble[i] != NULL ? strdup(trouble[i]) : NULL;
	arena_free(&mem);
	return ok;
}

bool certset_load_apart(struct certset *s, const struct conf *c, char *error, size_t room)
{
	int pair[2];
	struct buf text;
	*s = (struct certset){.file = c->relay_certificate, .n = count(c->relay_certificate)};
	if (s->n == 0)
		return true;
	snprintf(error, room, "the files of certificates cannot be looked at");
	if (pipe2(pair, O_CLOEXEC) != 0)
		return false;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		load_and_tell(c, pair[1]);
	close(pair[1]);
	buf_init(&text, CERTSET_TEXT_MAX);
	bool ok = pid > 0 && read_told(pair[0], pid, &text) &&
		  get_certset(s, c, buf_slice(&text), error, room);
	close(pair[0]);
	buf_free(&text);
	if (!ok)
		certset_free(s);
	return ok;
}

bool certset_from_pem(struct certset *s, const struct conf *c, const struct slice *pem, size_t n,
		      char *error, size_t room)
{
	*s = (struct certset){.file = c->relay_certificate, .n = count(c->relay_certificate)};
	if (n != s->n) {
		snprintf(error, room, "not the certificates of this configuration");
		return false;
	}
	return n == 0 || load_server(s, pem, error, room);
}

void certset_free(struct certset *s)
{
	tls_server_free(&s->server);
	for (size_t i = 0; s->key_trouble != NULL && i < s->n; i++)
		free(s->key_trouble[i]);
	free(s->key_trouble);
	*s = (struct certset){.n = 0};
}

static bool is_there(const struct selfcheck_input *in, size_t n, const struct tls_chain *c)
{
	for (size_t i = 0; i < n; i++) {
		if (tls_chain_equal(in[i].chain, c))
			return true;
	}
	return false;
}

bool certset_shown(const struct certset *s, const char *name, bool served, struct arena *mem,
		   struct selfcheck_input *in, size_t room, size_t *n)
{
	size_t shown[TLS_SERVER_KINDS_MAX];
	size_t k = s->server != NULL ? tls_server_shown(s->server, name, shown) : 0;
	for (size_t i = 0; i < k && *n < room; i++) {
		const struct tls_chain *c = tls_server_chain(s->server, shown[i]);
		const char *file = s->file[shown[i]];
		char *label = arena_printf(mem, "%s%s", file, served ? "" : " (on the disk)");
		char *trouble = s->key_trouble != NULL ? s->key_trouble[shown[i]] : NULL;
		if (label == NULL)
			return false;
		if (is_there(in, *n, c) && trouble == NULL)
			continue;
		in[(*n)++] = (struct selfcheck_input){.chain = c,
						      .label = label,
						      .file = file,
						      .served = served,
						      .key_trouble = trouble};
	}
	return true;
}
