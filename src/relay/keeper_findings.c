/* SPDX-License-Identifier: MIT */
/*
 * What the warden found (V1), at the keeper: kept for whoever reads the metrics, and each finding
 * that comes or goes leaves a record in the audit (A1). Refuses to know what a finding means.
 */
#include "relay/keeper_int.h"

#include "relay/keeper_audit.h"

#include <stdio.h>
#include <string.h>

enum { NAME_ROOM = 320 };

static bool same(const struct finding_note *a, const struct finding_note *b)
{
	return a->kind == b->kind && a->severity == b->severity && a->port == b->port &&
	       strcmp(a->about, b->about) == 0;
}

static bool has(const struct findings *f, const struct finding_note *note)
{
	for (size_t i = 0; i < f->n; i++) {
		if (same(&f->note[i], note))
			return true;
	}
	return false;
}

/* Two chains under one name may have the same finding: one record. */
static bool is_first(const struct findings *f, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (same(&f->note[k], &f->note[i]))
			return false;
	}
	return true;
}

static bool record(struct keeper *k, const struct finding_note *note, bool appeared)
{
	char name[NAME_ROOM], scratch[AUDIT_TEXT_MAX + 1];
	if (note->port != 0)
		snprintf(name, sizeof(name), "%s:%u", note->about, note->port);
	else
		snprintf(name, sizeof(name), "%s", note->about);
	struct audit_record r = {
	    .type = AUDIT_SELFCHECK,
	    .selfcheck = {.appeared = appeared,
			  .name = audit_text(name, scratch),
			  .finding = slice_str(selfcheck_kind_name(note->kind)),
			  .detail = slice_str(selfcheck_severity_name(note->severity))}};
	return keeper_group(k) && keeper_audit_add(k, &r);
}

/* Those of `a` that `b` does not have. False: the audit takes nothing. */
static bool record_others(struct keeper *k, const struct findings *a, const struct findings *b,
			  bool appeared)
{
	for (size_t i = 0; i < a->n; i++) {
		if (!has(b, &a->note[i]) && is_first(a, i) && !record(k, &a->note[i], appeared))
			return false;
	}
	return true;
}

bool keeper_findings(struct keeper *k, struct slice payload)
{
	struct arena mem;
	struct findings now;
	arena_init(&mem, FINDINGS_MEM_MAX);
	if (!findings_get(payload, &mem, &now)) {
		arena_free(&mem);
		return false;
	}
	if (!record_others(k, &k->findings, &now, false) ||
	    !record_others(k, &now, &k->findings, true))
		log_event(k->process.log, LOG_LEVEL_ERROR, "audit", "what", "selfcheck", "error",
			  "a finding was not recorded", NULL);
	arena_free(&k->findings_mem);
	k->findings_mem = mem;
	k->findings = now;
	return true;
}
