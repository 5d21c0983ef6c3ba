/* SPDX-License-Identifier: MIT */
/* The table of findings as functions. Knows only findings.tbl. */
#include "selfcheck/room.h"

#include <string.h>

struct kind {
	const char *name;
	enum selfcheck_severity severity, mild;
	const char *source, *sentence, *cure, *paste;
};

static const struct kind kinds[SELFCHECK_KINDS] = {
#define FINDING(id, name, severity, mild, source, sentence, cure, paste)                           \
	[SELFCHECK_##                                                                              \
	    id] = {name, SELFCHECK_##severity, SELFCHECK_##mild, source, sentence, cure, paste},
#include "selfcheck/findings.tbl"
#undef FINDING
};

const char *selfcheck_kind_name(enum selfcheck_kind k)
{
	return kinds[k].name;
}

bool selfcheck_kind_from_name(const char *name, enum selfcheck_kind *out)
{
	for (int k = 0; k < SELFCHECK_KINDS; k++) {
		if (strcmp(kinds[k].name, name) == 0) {
			*out = (enum selfcheck_kind)k;
			return true;
		}
	}
	return false;
}

const char *selfcheck_kind_source(enum selfcheck_kind k)
{
	return kinds[k].source;
}

enum selfcheck_severity selfcheck_kind_severity(enum selfcheck_kind k, bool mild)
{
	return mild ? kinds[k].mild : kinds[k].severity;
}

const char *kind_sentence(enum selfcheck_kind k)
{
	return kinds[k].sentence;
}

const char *kind_cure(enum selfcheck_kind k)
{
	return kinds[k].cure;
}

const char *kind_paste(enum selfcheck_kind k)
{
	return kinds[k].paste;
}

const char *selfcheck_severity_name(enum selfcheck_severity s)
{
	static const char *const names[] = {[SELFCHECK_NOTICE] = "notice",
					    [SELFCHECK_WARNING] = "warning",
					    [SELFCHECK_ERROR] = "error"};
	return names[s];
}

const char *selfcheck_promise_name(enum selfcheck_promise p)
{
	static const char *const names[] = {[SELFCHECK_NOTHING] = "nothing",
					    [SELFCHECK_KEPT] = "kept",
					    [SELFCHECK_BROKEN] = "broken",
					    [SELFCHECK_UNKNOWN] = "unknown"};
	return names[p];
}

const char *selfcheck_result_name(enum selfcheck_result r)
{
	static const char *const names[] = {[SELFCHECK_WELL] = "ok",
					    [SELFCHECK_WARNINGS] = "warnings",
					    [SELFCHECK_ERRORS] = "errors",
					    [SELFCHECK_NO_LOOKUP] = "no-lookup"};
	return names[r];
}

static enum selfcheck_result result_of_one(const struct selfcheck_finding *f)
{
	if (f->kind == SELFCHECK_LOOKUP_FAILED || f->kind == SELFCHECK_CHECK_FAILED)
		return SELFCHECK_NO_LOOKUP;
	switch (f->severity) {
	case SELFCHECK_NOTICE:
		return SELFCHECK_WELL;
	case SELFCHECK_WARNING:
		return SELFCHECK_WARNINGS;
	case SELFCHECK_ERROR:
		return SELFCHECK_ERRORS;
	}
	return SELFCHECK_ERRORS;
}

enum selfcheck_result selfcheck_result_worse(enum selfcheck_result a, enum selfcheck_result b)
{
	static const int weight[] = {[SELFCHECK_WELL] = 0,
				     [SELFCHECK_WARNINGS] = 1,
				     [SELFCHECK_NO_LOOKUP] = 2,
				     [SELFCHECK_ERRORS] = 3};
	return weight[b] > weight[a] ? b : a;
}

enum selfcheck_result selfcheck_result_of(const struct selfcheck_finding *f, size_t n)
{
	enum selfcheck_result r = SELFCHECK_WELL;
	for (size_t i = 0; i < n; i++)
		r = selfcheck_result_worse(r, result_of_one(&f[i]));
	return r;
}
