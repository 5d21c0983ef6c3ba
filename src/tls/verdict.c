/* SPDX-License-Identifier: MIT */
/*
 * From the result of a verification to one reason of the outcome table and one line for a person.
 *
 * Order: a record set that matches nothing served is REASON_TLSA_INVALID whatever OpenSSL stumbled
 * over first; only then does its X.509 error count. Refuses to know the connection.
 */
#include "tls/room.h"

#include <openssl/x509v3.h>

#include <string.h>
#include <time.h>

/* A certificate with hundreds of names must not fill the log. */
enum { NAMES_SHOWN = 8 };
/* Looking for the cause of a mismatch must not cost much either: see match.c. */
enum { HINT_CERTS_MAX = 16 };

static enum reason reason_of_error(int error)
{
	switch (error) {
	case X509_V_OK:
		return REASON_OK;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return REASON_CERT_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return REASON_CERT_NOT_YET_VALID;
	case X509_V_ERR_HOSTNAME_MISMATCH:
		return REASON_CERT_HOST_MISMATCH;
	case X509_V_ERR_OUT_OF_MEM:
		return REASON_LOCAL_ERROR;
	/*
	 * Reached only when a record does match a served CA certificate: the path from the leaf
	 * does not lead to it. OpenSSL never says "unable to get issuer" when all records are
	 * DANE-TA; for RFC 8460 s4.3 a broken chain is certificate-not-trusted.
	 */
	case X509_V_ERR_DANE_NO_MATCH:
	default:
		return REASON_CERT_NOT_TRUSTED;
	}
}

enum reason tls_verdict_reason(const struct chain_check *k, const struct tls_terms *terms)
{
	if (k->error == X509_V_ERR_OUT_OF_MEM || !k->ran)
		return REASON_LOCAL_ERROR;
	if (k->error == X509_V_OK)
		return REASON_OK;
	if (terms->policy != HOST_PKIX && !tls_match_any_served(terms->tlsa, k->served))
		return REASON_TLSA_INVALID;
	return reason_of_error(k->error);
}

/* "certificate 1 (CN=Lab CA)": counted as served, the leaf is 0. */
static const char *cert_text(struct arena *mem, const struct chain_check *k)
{
	if (k->culprit == NULL)
		return arena_printf(mem, "the certificate at depth %d", k->depth);
	const char *subject = tls_facts_name(mem, X509_get_subject_name(k->culprit));
	for (int i = 0; k->served != NULL && i < sk_X509_num(k->served); i++) {
		if (X509_cmp(sk_X509_value(k->served, i), k->culprit) == 0)
			return arena_printf(mem, "certificate %d (%s)", i, subject);
	}
	return arena_printf(mem, "the certificate in the TLSA record (%s)", subject);
}

static const char *date_text(struct arena *mem, const ASN1_TIME *t)
{
	struct tm tm = {0};
	char text[32];
	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1 ||
	    strftime(text, sizeof(text), "%Y-%m-%d", &tm) == 0)
		return "at an unreadable date";
	return arena_strdup(mem, text);
}

static const char *expired_text(struct arena *mem, const struct chain_check *k)
{
	const ASN1_TIME *t = k->culprit != NULL ? X509_get0_notAfter(k->culprit) : NULL;
	return arena_printf(mem, "%s expired %s", cert_text(mem, k), date_text(mem, t));
}

static const char *not_yet_text(struct arena *mem, const struct chain_check *k)
{
	const ASN1_TIME *t = k->culprit != NULL ? X509_get0_notBefore(k->culprit) : NULL;
	return arena_printf(mem, "%s is not valid before %s", cert_text(mem, k), date_text(mem, t));
}

/* The first names of a blank-separated list, " and 3 more" for the rest. */
static const char *names_cut(struct arena *mem, const char *names)
{
	size_t blanks = 0, cut = strlen(names);
	for (size_t i = 0; names[i] != '\0'; i++) {
		if (names[i] == ' ' && ++blanks == NAMES_SHOWN)
			cut = i;
	}
	if (blanks < NAMES_SHOWN)
		return names;
	return arena_printf(mem, "%.*s and %zu more", (int)cut, names, blanks + 1 - NAMES_SHOWN);
}

static const char *wanted_text(struct arena *mem, const struct tls_terms *terms)
{
	const char *text = terms->reference_names[0];
	for (size_t i = 1; text != NULL && i < terms->nreference_names; i++)
		text = arena_printf(mem, "%s or %s", text, terms->reference_names[i]);
	return text;
}

static const char *mismatch_text(struct arena *mem, const struct chain_check *k,
				 const struct tls_terms *terms)
{
	X509 *leaf = sk_X509_value(k->served, 0);
	const char *names = tls_facts_dns_names(mem, leaf);
	const char *wanted = wanted_text(mem, terms);
	if (names[0] != '\0')
		return arena_printf(mem, "certificate names %s, wanted %s", names_cut(mem, names),
				    wanted);
	return arena_printf(mem, "certificate has no DNS name (subject %s), wanted %s",
			    tls_facts_name(mem, X509_get_subject_name(leaf)), wanted);
}

/* Index of a served certificate that the record's content matches where its usage forbids it. */
static int misplaced(const struct tlsa *rr, STACK_OF(X509) * served)
{
	for (int i = 0; i < sk_X509_num(served) && i < HINT_CERTS_MAX; i++) {
		if (tls_match_record(rr, sk_X509_value(served, i)))
			return i;
	}
	return -1;
}

/*
 * A common mistake, and what OpenSSL does with it: a DANE-TA(2) record that matches the leaf itself
 * never authenticates (dane_match() masks usage 2 at depth 0), not even when the leaf is
 * self-signed; likewise DANE-EE(3) above depth 0. RFC 7671 s5.2 speaks of the issuing CA.
 */
static const char *misplaced_text(struct arena *mem, const struct tlsa *rr, STACK_OF(X509) * served)
{
	int at = misplaced(rr, served);
	if (at < 0)
		return NULL;
	if (rr->usage == TLSA_DANE_TA)
		return arena_printf(mem,
				    "; record %u %u %u matches the server certificate itself, but "
				    "usage 2 must match a CA certificate above it",
				    rr->usage, rr->selector, rr->mtype);
	return arena_printf(mem,
			    "; record %u %u %u matches certificate %d, but usage 3 must match the "
			    "server certificate",
			    rr->usage, rr->selector, rr->mtype, at);
}

static const char *no_match_text(struct arena *mem, const struct chain_check *k,
				 const struct tls_terms *terms)
{
	int served = k->served != NULL ? sk_X509_num(k->served) : 0;
	size_t counting = 0;
	const char *hint = NULL;
	for (size_t i = 0; i < terms->tlsa->n; i++) {
		if (terms->tlsa->entry[i].use != TLSA_COUNTS)
			continue;
		counting++;
		if (hint == NULL && served > 0)
			hint = misplaced_text(mem, &terms->tlsa->entry[i].rr, k->served);
	}
	return arena_printf(mem, "no certificate of %d served matches %zu usable TLSA record%s%s",
			    served, counting, counting == 1 ? "" : "s", hint != NULL ? hint : "");
}

static const char *path_text(struct arena *mem, const struct chain_check *k)
{
	if (k->error == X509_V_ERR_DANE_NO_MATCH)
		return arena_printf(mem,
				    "the served CA certificate that a TLSA record names does not "
				    "lead to the server certificate: the issuer of %s was not "
				    "served",
				    cert_text(mem, k));
	return arena_printf(mem, "%s: %s", cert_text(mem, k),
			    X509_verify_cert_error_string(k->error));
}

static const char *detail(struct arena *mem, enum reason r, const struct chain_check *k,
			  const struct tls_terms *terms)
{
	if (r == REASON_OK)
		return "";
	if (r == REASON_TLSA_INVALID)
		return no_match_text(mem, k, terms);
	if (r == REASON_CERT_EXPIRED)
		return expired_text(mem, k);
	if (r == REASON_CERT_NOT_YET_VALID)
		return not_yet_text(mem, k);
	if (r == REASON_CERT_HOST_MISMATCH)
		return mismatch_text(mem, k, terms);
	if (r == REASON_CERT_NOT_TRUSTED)
		return path_text(mem, k);
	return X509_verify_cert_error_string(k->error);
}

const char *tls_verdict_detail(struct arena *mem, enum reason r, const struct chain_check *k,
			       const struct tls_terms *terms)
{
	const char *text = detail(mem, r, k, terms);
	return text != NULL ? text : "";
}
