/* SPDX-License-Identifier: MIT */
/* What the actions of `danelaw tlsa` share. Knows the forms of options and files, and which
 * certificate a record is made of; that a client would accept it is asked of the verifier. */
#include "cmd/tlsa.h"

#include "base/buf.h"
#include "dane/tlsaset.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/* --- Files --- */

int tlsa_read_file(const struct cmd *c, const char *path, struct buf *out)
{
	int error = input_read(path, out);
	if (error != 0)
		return cmd_fail(c, EX_NOINPUT, "cannot read %s: %s", path, strerror(error));
	if (!buf_ok(out))
		return cmd_fail(c, EX_DATAERR, "%s is larger than %d octets", path, TLSA_FILE_MAX);
	return EX_OK;
}

struct tls_source *tlsa_read_source(const struct cmd *c, const char *path, int *code)
{
	char error[CMD_ERROR_MAX] = "";
	struct buf pem;
	struct tls_source *s = NULL;
	buf_init(&pem, TLSA_FILE_MAX);
	*code = tlsa_read_file(c, path, &pem);
	if (*code == EX_OK) {
		s = tls_source_from_pem(buf_slice(&pem), error, sizeof(error));
		if (s == NULL)
			*code = cmd_fail(c, EX_DATAERR, "%s: %s", path, error);
	}
	if (pem.p != NULL)
		explicit_bzero(pem.p, pem.cap);
	buf_free(&pem);
	return s;
}

/* --- Options --- */

int tlsa_take_host(const struct cmd *c, const char *option, const char *text,
		   char out[static TLSA_HOST_MAX])
{
	char error[CMD_ERROR_MAX];
	if (domain_from_text(text, out, TLSA_HOST_MAX, error, sizeof(error)))
		return EX_OK;
	return cmd_fail(c, EX_USAGE, "%s: %s", option, error);
}

int tlsa_take_number(const struct cmd *c, const char *option, const char *text, uint64_t min,
		     uint64_t max, uint64_t *out)
{
	if (slice_to_u64(slice_str(text), max, out) && *out >= min)
		return EX_OK;
	return cmd_fail(c, EX_USAGE, "%s: '%s' is not a number from %llu to %llu", option, text,
			(unsigned long long)min, (unsigned long long)max);
}

static int take_port(const struct cmd *c, const char *option, struct slice text, uint16_t *out)
{
	char copy[16];
	uint64_t n;
	snprintf(copy, sizeof(copy), "%.*s", (int)slice_first(text, 15).n, (const char *)text.p);
	int code = tlsa_take_number(c, option, copy, 1, UINT16_MAX, &n);
	if (code == EX_OK)
		*out = (uint16_t)n;
	return code;
}

int tlsa_take_server(const struct cmd *c, const char *option, const char *text,
		     char host[static TLSA_HOST_MAX], struct ipaddr *address, uint16_t *port)
{
	struct slice all = slice_str(text), rest, name;
	*address = (struct ipaddr){0};
	host[0] = '\0';
	if (ipaddr_from_text(all, address))
		return EX_OK;
	bool bracket = all.n > 0 && all.p[0] == '[';
	if (bracket) {
		name = slice_cut(slice_from(all, 1), ']', &rest);
		rest = rest.n > 0 && rest.p[0] == ':' ? slice_from(rest, 1) : rest;
	} else {
		name = slice_cut(all, ':', &rest);
	}
	bool has_port = name.n + (bracket ? 2 : 0) < all.n;
	if (has_port && take_port(c, option, rest, port) != EX_OK)
		return EX_USAGE;
	if (ipaddr_from_text(name, address))
		return EX_OK;
	char copy[TLSA_HOST_MAX * 4];
	snprintf(copy, sizeof(copy), "%.*s", (int)slice_first(name, sizeof(copy) - 1).n,
		 (const char *)name.p);
	if (bracket)
		return cmd_fail(c, EX_USAGE, "%s: '%s' is not an address", option, copy);
	return tlsa_take_host(c, option, copy, host);
}

bool tlsa_form_from_text(const char *text, struct tlsa *out)
{
	unsigned u, s, m;
	char end;
	if (text[strspn(text, "0123456789 ")] != '\0' ||
	    sscanf(text, "%3u %3u %3u%c", &u, &s, &m, &end) != 3 || u > 255 || s > 255 || m > 255)
		return false;
	*out = (struct tlsa){.usage = (uint8_t)u, .selector = (uint8_t)s, .mtype = (uint8_t)m};
	return true;
}

int tlsa_check_form(const struct cmd *c, const struct tlsa *f)
{
	if (f->usage == TLSA_PKIX_TA || f->usage == TLSA_PKIX_EE)
		return cmd_fail(c, EX_USAGE,
				"certificate usage %u is not for mail (RFC 7672 s3.1.3); use 3 or "
				"2",
				f->usage);
	if (f->usage > TLSA_DANE_EE)
		return cmd_fail(c, EX_USAGE, "certificate usage %u is unknown; use 3 or 2",
				f->usage);
	if (f->selector > TLSA_SPKI)
		return cmd_fail(c, EX_USAGE,
				"selector %u is unknown; use 1 (public key) or 0 (certificate)",
				f->selector);
	if (f->mtype > TLSA_SHA512)
		return cmd_fail(c, EX_USAGE,
				"matching type %u is unknown; use 1 (SHA-256), 2 (SHA-512) or 0 "
				"(full data)",
				f->mtype);
	return EX_OK;
}

/* --- Records --- */

void tlsa_owner(const char *host, uint16_t port, char out[static TLSA_OWNER_MAX])
{
	snprintf(out, TLSA_OWNER_MAX, "_%u._tcp.%s", port, host);
}

const char *tlsa_to_text(struct arena *mem, const struct tlsa *rr)
{
	char *hex = arena_alloc(mem, 2 * rr->data.n + 1);
	if (hex == NULL)
		return "";
	hex_encode(rr->data, hex);
	const char *text =
	    arena_printf(mem, "%u %u %u %s", rr->usage, rr->selector, rr->mtype, hex);
	return text != NULL ? text : "";
}

static const struct tls_facts *try_record(struct arena *mem, const struct tls_source *s,
					  struct tlsa *rr, const char *host, int64_t at)
{
	struct tlsa_set set;
	if (!tlsa_set_from_records(mem, rr, 1, &set) || set.usable == 0)
		return NULL;
	struct tls_terms terms = {.policy = HOST_DANE,
				  .sni = host,
				  .tlsa = &set,
				  .reference_names = {host},
				  .nreference_names = 1};
	return tls_verify(mem, tls_source_chain(s), &terms, at);
}

static bool no_ca(const struct tls_source *s, char *error, size_t room)
{
	if (tls_source_chain(s) == NULL)
		snprintf(
		    error, room,
		    "a record of usage 2 is about a CA, and this is a bare key; give the chain "
		    "that the server sends");
	else
		snprintf(error, room,
			 "the chain has no CA certificate above the server's; a record of usage 2 "
			 "needs the CA in the chain that the server sends (RFC 7671 s5.2)");
	return false;
}

static bool make_ta(struct arena *mem, const struct tls_source *s, const struct tlsa *form,
		    const char *host, int64_t at, struct tlsa *out, size_t *which, char *error,
		    size_t room)
{
	const struct tls_facts *top = NULL;
	for (size_t i = tls_source_count(s); i-- > 1;) {
		if (!tls_source_is_ca(s, i))
			continue;
		if (!tls_source_record(s, i, form, mem, out, error, room))
			return false;
		const struct tls_facts *f = try_record(mem, s, out, host, at);
		if (f != NULL && f->authenticated) {
			*which = i;
			return true;
		}
		/* A stray CA matches no path; a lower one says more. */
		top = top == NULL || top->reason == REASON_TLSA_INVALID ? f : top;
	}
	if (top == NULL)
		return no_ca(s, error, room);
	snprintf(error, room, "no CA certificate of the chain would authenticate %s: %s%s%s", host,
		 reason_sentence(top->reason), top->detail[0] != '\0' ? ": " : "", top->detail);
	return false;
}

bool tlsa_make_record(struct arena *mem, const struct tls_source *s, const struct tlsa *form,
		      const char *host, int64_t at, struct tlsa *out, size_t *which, char *error,
		      size_t room)
{
	*which = 0;
	if (form->usage == TLSA_DANE_TA && tls_source_chain(s) == NULL)
		return no_ca(s, error, room);
	if (form->usage == TLSA_DANE_TA)
		return make_ta(mem, s, form, host, at, out, which, error, room);
	return tls_source_record(s, 0, form, mem, out, error, room);
}
