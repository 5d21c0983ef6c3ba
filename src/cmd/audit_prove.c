/* SPDX-License-Identifier: MIT */
/*
 * danelaw audit prove: evidence, proven again offline with nothing but the trust anchor. From a
 * file, or from a record of the audit file.
 */
#include "cmd/audit.h"

#include "base/buf.h"
#include "digest/digest.h"
#include "dnssec/dnssec.h"
#include "engine/evidence.h"
#include "loop/loop.h"
#include "wire/tlsa.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

enum {
	NOT_PROVEN = 1,
	PROVE_MEM_MAX = 16 * 1024 * 1024,
	ANCHORS_MAX = 16,
	ANCHOR_TEXT_MAX = 512,
	RECORD_TEXT_MAX = 5 * 65536,
};

struct proving {
	struct audit_query *q;
	struct arena mem;
	struct evidence evidence;
	struct dnssec_anchors *anchors;
	struct dnssec_proof proof;
	/* Of a record: its own words, to be compared with what is proven. */
	bool from_record;
	struct audit_tlsa_set recorded;
};

/* --- words --- */

static void record_text(const struct rrset *s, size_t i, struct buf *out)
{
	struct dns_rr rr = {.type = s->type, .rdata = rrset_rdata(s, i)};
	tlsa_parse(rr.rdata, &rr.u.tlsa);
	dns_rr_to_text(&rr, out);
}

/* What a good proof leaves open. */
static const char *way_text(enum evidence_mx m)
{
	switch (m) {
	case EVIDENCE_MX_SECURE:
		return "by signed MX records, proven";
	case EVIDENCE_MX_IMPLICIT:
		return "it is its own host; that it had no MX records is not part of the proof";
	case EVIDENCE_MX_INSECURE:
		return "by unsigned MX records: that it is a host of this destination is not "
		       "proven";
	case EVIDENCE_MX_NONE:
		return "it is the configured next hop, no MX records were looked for";
	case EVIDENCE_MX_COUNT:
		break;
	}
	return "";
}

static void print_text(const struct proving *p)
{
	const struct evidence *e = &p->evidence;
	struct style st = style_of(stdout);
	char at[TIME_TEXT_MAX];
	time_to_text(e->time, at);
	say(stdout, "%s%s%s  %s port %u, for %s, at %s\n",
	    tone_on(&st, p->proof.proven ? TONE_GOOD : TONE_BAD),
	    p->proof.proven ? "proven" : "not proven", tone_off(&st), e->host, e->port,
	    e->destination, at);
	if (!p->proof.proven) {
		say(stdout, "  %s\n", p->proof.why);
		return;
	}
	say(stdout, "  way to the host: %s\n", way_text(e->mx));
	for (size_t i = 0; i < p->proof.tlsa.nrr; i++) {
		struct buf text;
		buf_init(&text, RECORD_TEXT_MAX);
		record_text(&p->proof.tlsa, i, &text);
		say(stdout, "  %s TLSA %s\n", p->proof.tlsa_name, buf_cstr(&text));
		buf_free(&text);
	}
	say(stdout, "  %zu signed RRsets, all of them verified up to the trust anchor\n",
	    e->nrrset);
}

static bool print_json(const struct proving *p)
{
	const struct evidence *e = &p->evidence;
	char at[TIME_TEXT_MAX], id[AUDIT_HEX_MAX];
	struct json *j = json_object();
	time_to_text(e->time, at);
	json_set_bool(j, "proven", p->proof.proven);
	json_set_str(j, "why", p->proof.proven ? NULL : p->proof.why);
	json_set_str(j, "time", at);
	json_set_str(j, "destination", e->destination);
	json_set_str(j, "mx", evidence_mx_name(e->mx));
	json_set_str(j, "host", e->host);
	json_set_int(j, "port", e->port);
	json_set_str(j, "base", e->base);
	json_set_str(j, "id", audit_hex(e->id, id));
	struct json *records = json_set(j, "tlsa", json_array());
	for (size_t i = 0; p->proof.proven && i < p->proof.tlsa.nrr; i++) {
		struct buf text;
		buf_init(&text, RECORD_TEXT_MAX);
		record_text(&p->proof.tlsa, i, &text);
		json_append_str(records, buf_cstr(&text));
		buf_free(&text);
	}
	bool ok = json_write_line(j, stdout);
	json_free(&j);
	return ok;
}

/* --- files --- */

static int read_file(struct proving *p, const char *path)
{
	char error[CMD_ERROR_MAX];
	struct buf text;
	buf_init(&text, EVIDENCE_OCTETS_MAX);
	int failure = input_read(path, &text), code = EX_OK;
	if (failure != 0)
		code =
		    cmd_fail(p->q->cmd, EX_NOINPUT, "cannot read %s: %s", path, strerror(failure));
	else if (!buf_ok(&text))
		code = cmd_fail(p->q->cmd, EX_DATAERR, "%s is larger than %d octets", path,
				EVIDENCE_OCTETS_MAX);
	else if (!evidence_read(buf_slice(&text), &p->mem, &p->evidence, error, sizeof(error)))
		code = cmd_fail(p->q->cmd, EX_DATAERR, "%s: %s", path, error);
	buf_free(&text);
	return code;
}

bool evidence_save(const struct evidence *e, const struct dnssec_anchors *a, const char *path)
{
	char text[ANCHORS_MAX][ANCHOR_TEXT_MAX];
	const char *anchor[ANCHORS_MAX + 1] = {NULL};
	for (size_t i = 0; a != NULL && i < ANCHORS_MAX; i++) {
		if (!dnssec_anchor_text(a, i, text[i], sizeof(text[i])))
			break;
		anchor[i] = text[i];
	}
	bool standard = strcmp(path, "-") == 0;
	FILE *f = standard ? stdout : fopen(path, "we");
	if (f == NULL)
		return false;
	bool ok = evidence_write(e, anchor, f);
	return (standard ? fflush(f) : fclose(f)) == 0 && ok;
}

static int read_anchors(struct proving *p)
{
	char error[CMD_ERROR_MAX];
	const char *const given[] = {p->q->anchor, NULL};
	p->anchors = dnssec_anchors_read(p->q->anchor != NULL ? given : p->q->cmd->conf->dns_anchor,
					 error, sizeof(error));
	return p->anchors != NULL ? EX_OK : cmd_fail(p->q->cmd, EX_CONFIG, "%s", error);
}

/* --- records --- */

static bool is_text(struct slice s, const char *text)
{
	return slice_eq(s, slice_str(text));
}

/* The record is about this host, and not about another one. */
static bool is_about(const struct audit_attempt *a, const struct evidence *e)
{
	struct slice base = a->base.n > 0 ? a->base : a->host;
	return is_text(a->host, e->host) && a->port == e->port && is_text(base, e->base);
}

static bool is_entry(const struct audit_tlsa *t, struct slice rdata)
{
	struct tlsa rr;
	uint8_t hash[AUDIT_DIGEST];
	tlsa_parse(rdata, &rr);
	struct slice data = rr.data;
	if (t->hashed) {
		digest_sha256(&data, 1, hash);
		data = slice_make(hash, AUDIT_DIGEST);
	}
	return t->usage == rr.usage && t->selector == rr.selector && t->mtype == rr.mtype &&
	       slice_eq(t->data, data);
}

/* Are the records that were used those that are proven? */
static bool matches_record(const struct proving *p)
{
	const struct rrset *proven = &p->proof.tlsa;
	size_t found = 0;
	for (size_t i = 0; i < p->recorded.n; i++) {
		bool is = false;
		for (size_t k = 0; k < proven->nrr && !is; k++)
			is = is_entry(&p->recorded.entry[i], rrset_rdata(proven, k));
		found += is;
	}
	return found == p->recorded.n && p->recorded.total == proven->nrr;
}

static bool copy_set(struct proving *p, const struct audit_tlsa_set *from)
{
	p->recorded = *from;
	for (size_t i = 0; i < from->n; i++)
		p->recorded.entry[i].data = arena_bytes(&p->mem, from->entry[i].data);
	return !p->mem.failed;
}

struct wanted {
	struct proving *p;
	uint64_t n;
	int code;
};

static int take_record(struct proving *p, const struct audit_entry *e)
{
	struct cmd *c = p->q->cmd;
	const struct audit_attempt *a = &e->record.attempt;
	if (e->error != AUDIT_OK || e->record.type != AUDIT_ATTEMPT)
		return cmd_fail(c, EX_NOINPUT, "record %" PRIu64 " is not about an attempt",
				e->link.n);
	if (audit_is_zero(a->evidence))
		return cmd_fail(c, EX_NOINPUT,
				"record %" PRIu64
				" has no evidence: the host had no TLSA records that "
				"DNSSEC proved, or they could not be collected in time",
				e->link.n);
	enum store_status s = store_audit_evidence(p->q->store, a->evidence, &p->mem, &p->evidence);
	if (s == STORE_NOT_FOUND)
		return cmd_fail(c, EX_NOINPUT, "the evidence of record %" PRIu64 " is missing",
				e->link.n);
	if (s != STORE_OK)
		return audit_fail(p->q);
	evidence_set_id(&p->evidence);
	if (memcmp(p->evidence.id, a->evidence, AUDIT_DIGEST) != 0 || !is_about(a, &p->evidence))
		return cmd_fail(c, EX_DATAERR,
				"the evidence of record %" PRIu64 " is not that which it names",
				e->link.n);
	p->evidence.time = e->link.time / 1000;
	p->from_record = true;
	return copy_set(p, &a->tlsa) ? EX_OK : cmd_fail(c, EX_OSERR, "out of memory");
}

static bool take_one(struct audit_query *q, const struct audit_entry *e, void *arg)
{
	struct wanted *w = arg;
	(void)q;
	if (e->link.n == w->n)
		w->code = take_record(w->p, e);
	return false;
}

static int read_record(struct proving *p)
{
	struct audit_query *q = p->q;
	struct wanted w = {.p = p, .code = EX_NOINPUT};
	if (!slice_to_u64(slice_str(q->operand), INT64_MAX, &w.n) || w.n == 0)
		return cmd_fail(q->cmd, EX_USAGE, "'%s' is not the number of a record", q->operand);
	w.code = -1;
	int code = audit_walk(q, w.n, false, take_one, &w);
	if (code == EX_OK && w.code < 0)
		return cmd_fail(q->cmd, EX_NOINPUT, "there is no record %" PRIu64, w.n);
	return code == EX_OK ? w.code : code;
}

/* --- the action --- */

/* The times in signatures come round after 2^32 seconds (RFC 4034 s3.1.5): they verify 136 years
 * off, too. */
static bool time_is_sane(struct proving *p)
{
	int64_t at = p->evidence.time;
	char text[TIME_TEXT_MAX];
	time_to_text(at, text);
	bool before = at < 0;
	if (!before && at <= loop_wall_s() + p->q->cmd->conf->dns_sig_skew)
		return true;
	snprintf(p->proof.why, sizeof(p->proof.why),
		 "it cannot have been recorded at %s: that is %s", text,
		 before ? "before there was DNSSEC" : "in the future, says the clock here");
	return false;
}

static int judge(struct proving *p)
{
	struct audit_query *q = p->q;
	dnssec_prove(p->anchors, &p->evidence, (uint32_t)q->cmd->conf->dns_sig_skew, &p->proof);
	if (p->proof.proven && p->from_record && !matches_record(p)) {
		p->proof.proven = false;
		snprintf(p->proof.why, sizeof(p->proof.why),
			 "%s TLSA: the proven records are not those that the record says were used",
			 p->proof.tlsa_name);
	}
	if (p->proof.proven)
		p->proof.proven = time_is_sane(p);
	if (q->json && !print_json(p))
		return cmd_fail(q->cmd, EX_IOERR, "cannot write");
	if (!q->json)
		print_text(p);
	if (q->out != NULL && !evidence_save(&p->evidence, p->anchors, q->out))
		return cmd_fail(q->cmd, EX_CANTCREAT, "cannot write %s: %s", q->out,
				strerror(errno));
	return p->proof.proven ? EX_OK : NOT_PROVEN;
}

int audit_prove(struct audit_query *q)
{
	struct proving p = {.q = q};
	int code = EX_OK;
	arena_init(&p.mem, PROVE_MEM_MAX);
	if (q->file == NULL && q->operand == NULL)
		code =
		    cmd_fail(q->cmd, EX_USAGE,
			     "prove: say which record, by its number, or which file of evidence: "
			     "--file FILE");
	if (code == EX_OK)
		code = read_anchors(&p);
	if (code == EX_OK)
		code = q->operand != NULL ? read_record(&p) : read_file(&p, q->file);
	if (code == EX_OK)
		code = judge(&p);
	dnssec_anchors_free(&p.anchors);
	arena_free(&p.mem);
	return code;
}
