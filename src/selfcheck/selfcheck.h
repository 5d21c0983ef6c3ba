/* SPDX-License-Identifier: MIT */
/*
 * selfcheck: does a server keep what its TLSA records promise? (V1, V2; RFC 7671 s8, RFC 7672 s9.)
 *
 * Pure functions from facts to findings: what was looked up, what is served, what time it is. The
 * facts come from src/engine/selfcheck.c. Findings live in the arena that is given; their strings
 * are whole sentences with names, records, files and dates filled in. Any thread.
 */
#ifndef SELFCHECK_SELFCHECK_H
#define SELFCHECK_SELFCHECK_H

#include "dane/hosts.h"

enum selfcheck_severity { SELFCHECK_NOTICE, SELFCHECK_WARNING, SELFCHECK_ERROR };

enum selfcheck_kind {
#define FINDING(id, name, severity, mild, source, sentence, cure, paste) SELFCHECK_##id,
#include "selfcheck/findings.tbl"
#undef FINDING
	SELFCHECK_KINDS
};

const char *selfcheck_kind_name(enum selfcheck_kind k); /* "ta-not-served" */
bool selfcheck_kind_from_name(const char *name, enum selfcheck_kind *out);
const char *selfcheck_kind_source(enum selfcheck_kind k);     /* "RFC 7671 s5.2.2" */
const char *selfcheck_severity_name(enum selfcheck_severity); /* "error" */
enum selfcheck_severity selfcheck_kind_severity(enum selfcheck_kind k, bool mild);

/* --- What is known of one name and port --- */

/* One record against one chain: dates, names and signatures apart (RFC 6698 s2.1). */
struct selfcheck_fit {
	bool matches; /* a certificate where the usage permits */
	int depth;    /* of that certificate; -1: the full key of the record signed one */
};

struct selfcheck_chain {
	const char *label; /* what people call it: a file, "what 192.0.2.1 serves (ECDSA)" */
	const char *file;  /* where to mend it; NULL: nowhere that we know */
	bool served;       /* false: on the disk only, and served after a reload at most */
	const struct tls_cert *cert; /* leaf first */
	size_t ncert;
	/* What a strict sender says to it with all records and the one name (tls_verify()). */
	bool judged; /* false: there was no usable record, or TLS failed here */
	bool authenticated;
	enum reason reason;
	const char *detail;
	struct tls_match match;
	const struct selfcheck_fit *fit; /* one for each entry of the set; NULL: no set */
	/* By itself. */
	bool named;              /* the leaf has the name of the host (T5) */
	int disorder;            /* the certificate that the next one did not issue; -1: none */
	bool complete;           /* the last one signed itself */
	bool public_anchor;      /* the matched CA certificate is one that this system trusts */
	const char *weak;        /* what is too weak, with the certificate; NULL: nothing */
	const char *key_trouble; /* why it cannot be served with its key; NULL: nothing */
};

enum { SELFCHECK_CHAINS_MAX = 64, SELFCHECK_PORTS_MAX = 4 };

struct selfcheck_facts {
	uint16_t port;
	struct host_facts host;      /* answers and sets by enum host_query; TLSA at the name itself
					is there even where no sender would ask for it */
	struct host_verdict verdict; /* of a sender with level dane over a secure MX */
	struct {
		uint16_t port;
		const struct answer *tlsa;
	} other[SELFCHECK_PORTS_MAX]; /* the same name at other ports */
	size_t nother;
	const struct selfcheck_chain *chain;
	size_t nchain;       /* at most SELFCHECK_CHAINS_MAX */
	const char *no_tls;  /* the server was asked, and served no certificate: why; else NULL */
	int64_t now;         /* seconds since the epoch */
	int64_t soon_s;      /* certificates that end within this time end soon */
	int64_t signature_s; /* the same for signatures */
};

/* --- What comes of it --- */

struct selfcheck_finding {
	enum selfcheck_kind kind;
	enum selfcheck_severity severity;
	const char *about; /* the host or domain that was checked */
	uint16_t port;     /* 0: a domain */
	int chain;         /* index in the facts; -1: none in particular */
	int record;        /* index in the TLSA set; -1: none in particular */
	const char *key;   /* the same for the same matter, while dates and distances change */
	const char *text;  /* one sentence, without capital and full stop */
	const char *cure;  /* what to do */
	const char *paste; /* a record or a command; "": nothing to paste */
};

/* Do the chains keep what the records promise? */
enum selfcheck_promise {
	SELFCHECK_NOTHING, /* no secure and usable record: nothing is promised */
	SELFCHECK_KEPT,
	SELFCHECK_BROKEN,  /* a sender that follows the RFC refuses the chain */
	SELFCHECK_UNKNOWN, /* a lookup failed: this is never a mismatch (V2) */
};
const char *selfcheck_promise_name(enum selfcheck_promise p);

struct selfcheck_verdict {
	const struct selfcheck_finding *finding; /* the worst first */
	size_t nfinding;
	enum selfcheck_promise promise; /* of everything served: broken if one chain is */
	enum selfcheck_promise of[SELFCHECK_CHAINS_MAX]; /* of each chain, served or not */
	const struct answer *tlsa;  /* the answer that counts; NULL: none came */
	const struct tlsa_set *set; /* its records; NULL: none that are secure */
	const char *owner;          /* the name of the TLSA records, without a dot at the end */
	int64_t fresh_s; /* so long the answers are cached: asking earlier tells nothing new */
};

/* False: out of memory, and nothing in `out` may be used. */
bool selfcheck_decide(struct arena *mem, const struct selfcheck_facts *f,
		      struct selfcheck_verdict *out);

/* --- A domain whose mail should come here --- */

struct selfcheck_exchange {
	const char *name;       /* of an MX record */
	const struct answer *a; /* its addresses: to see aliases; NULL: not known */
};

struct selfcheck_domain_facts {
	const char *domain;
	const struct answer *mx;
	const struct selfcheck_exchange *exchange;
	size_t nexchange;
	const char *const *ours; /* names under which we are published for port `port` */
	size_t nours;
	uint16_t port;
	const struct answer *tlsa; /* at _PORT._tcp.DOMAIN; NULL: not asked */
	int64_t now, signature_s;
};

/* Fills finding and nfinding only. False: out of memory. */
bool selfcheck_domain_decide(struct arena *mem, const struct selfcheck_domain_facts *f,
			     struct selfcheck_verdict *out);

/* --- All of it --- */

enum selfcheck_result {
	SELFCHECK_WELL,
	SELFCHECK_WARNINGS,
	SELFCHECK_ERRORS,
	SELFCHECK_NO_LOOKUP, /* no error, but something could not be looked up */
};
const char *selfcheck_result_name(enum selfcheck_result r);
enum selfcheck_result selfcheck_result_of(const struct selfcheck_finding *f, size_t n);
/* Of two parts of one report. */
enum selfcheck_result selfcheck_result_worse(enum selfcheck_result a, enum selfcheck_result b);

/* "_25._tcp.mx.example.org. IN TLSA 3 1 1 HEX": the record of RFC 7671 s5.1 for this certificate.
 * NULL: out of memory. */
char *selfcheck_record_line(struct arena *mem, const char *owner, const struct tls_cert *leaf);

#endif
